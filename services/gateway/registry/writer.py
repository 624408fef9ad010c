"""Keeps one registry at what it should say."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta

from libs.domain.errors import EaselError, Unavailable
from services.gateway.registry.plan import Entries, Steps, steps
from services.gateway.registry.port import Entry, Place, Registry

log = logging.getLogger(__name__)

# Tried again at first, and at the longest. No longer than a beat, as what is well must go on being renewed.
_AGAIN_FIRST, _AGAIN_LONGEST = 1.0, 5.0
_AT_ONCE = 16


class Writer:
    """While the registry is away nothing is lost: what is wanted is compared with what was written."""

    def __init__(self, url: str, registry: Registry, renew_every: timedelta) -> None:
        self._url, self._registry, self._renew_every = url, registry, renew_every.total_seconds()
        self._held: dict[Place, Entry] = {}
        self._renewed: dict[Place, float] = {}
        self._again, self._not_before = _AGAIN_FIRST, 0.0
        self._trouble = ""

    @property
    def empty(self) -> bool:
        """Whether nothing of this gateway is left in the registry, as far as is known."""
        return not self._held

    async def reconcile(self, entries: Entries) -> None:
        """Makes the registry say `entries`. Safe to call at any time; an outage is said once, and its end."""
        now = time.monotonic()
        todo = steps(entries, self._held, self._due(now))
        if not todo or now < self._not_before:
            return
        trouble = await self._carry_out(todo)
        if trouble:
            if not self._trouble:
                extra = {"registry": self._url, "why": trouble, "entries": len(entries)}
                log.warning(
                    "a registry is not what it should be, and is written again and again", extra=extra
                )
            self._not_before = time.monotonic() + self._again
            self._again = min(2 * self._again, _AGAIN_LONGEST)
        elif self._trouble:
            log.info("a registry is what it should be again", extra={"registry": self._url})
            self._again = _AGAIN_FIRST
        self._trouble = trouble

    async def farewell(self) -> None:
        """Takes everything out, as far as the registry lets it; what is left expires there."""
        trouble = await self._carry_out(steps({}, self._held, ()))
        if trouble:
            log.warning("entries are left to expire", extra={"registry": self._url, "why": trouble})

    async def close(self) -> None:
        """Lets go of the connection. Nothing is taken out."""
        await self._registry.close()

    def _due(self, now: float) -> Collection[Place]:
        return {place for place, at in self._renewed.items() if now >= at + self._renew_every}

    async def _carry_out(self, todo: Steps) -> str:
        """What went wrong. What is refused alone holds nothing else up; a registry that is away is let be."""
        slots, troubles = asyncio.Semaphore(_AT_ONCE), list[EaselError]()

        async def carefully(step: Callable[[Entry], Awaitable[None]], entry: Entry) -> None:
            async with slots:
                if any(isinstance(each, Unavailable) for each in troubles):
                    return
                try:
                    await step(entry)
                except EaselError as refused:
                    troubles.append(refused)

        for step, entries in (
            (self._remove, todo.remove),
            (self._register, todo.register),
            (self._renew, todo.renew),
        ):
            await asyncio.gather(*(carefully(step, entry) for entry in entries))
        return str(troubles[0]) if troubles else ""

    async def _remove(self, entry: Entry) -> None:
        await self._registry.remove(entry)
        self._held.pop(entry.place, None)
        self._renewed.pop(entry.place, None)

    async def _register(self, entry: Entry) -> None:
        await self._registry.register(entry)
        self._held[entry.place], self._renewed[entry.place] = entry, time.monotonic()

    async def _renew(self, entry: Entry) -> None:
        if await self._registry.renew(entry):
            self._renewed[entry.place] = time.monotonic()
        else:
            await self._register(entry)
