"""Waiting for a condition instead of for time to pass."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def until(
    condition: Callable[[], T | Awaitable[T]], what: str = "the condition", within: float = 20.0
) -> T:
    """Returns the first truthy value of `condition`; fails with `what` after `within` seconds."""
    ends = time.monotonic() + within
    while True:
        found = condition()
        value = await found if inspect.isawaitable(found) else found
        if value:
            return value
        if time.monotonic() > ends:
            raise AssertionError(f"waited {within:g} s for {what}; last seen: {value!r}")
        await asyncio.sleep(0.02)
