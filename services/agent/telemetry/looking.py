"""Looks that may take long, or for ever: never two of a kind at once, and nobody has to wait for one."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from libs.domain.errors import EaselError

log = logging.getLogger(__name__)

T = TypeVar("T")


class Look(Generic[T]):
    """One kind of look. A failure is said once for as long as it lasts."""

    def __init__(self, name: str, look: Callable[[], Awaitable[T]]) -> None:
        self._name, self._look = name, look
        self._task: asyncio.Task[T | None] | None = None
        self._trouble = ""

    def start(self) -> "asyncio.Task[T | None]":
        """The look that is under way, or a new one."""
        if self._task is None:
            self._task = asyncio.create_task(self._carefully())
        return self._task

    def outcome(self) -> T | None:
        """What it found, handed out once; None while it lasts, or when it failed."""
        task = self._task
        if task is None or not task.done():
            return None
        self._task = None
        return task.result()

    def drop(self) -> None:
        """What it found long ago is of no use any more."""
        self.outcome()

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _carefully(self) -> T | None:
        try:
            found = await self._look()
        except Exception as failed:
            if str(failed) != self._trouble:
                bug = not isinstance(failed, EaselError | OSError)
                facts = {"look": self._name, "why": str(failed)}
                log.warning("cannot be measured now", extra=facts, exc_info=bug)
            self._trouble = str(failed)
            return None
        self._trouble = ""
        return found
