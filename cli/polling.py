"""Waiting for a state of something that has no watch."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from easel_sdk.errors import DeadlineExceeded

T = TypeVar("T")
_LOOK_EVERY = 0.5


async def poll(look: Callable[[], Awaitable[T | None]], timeout: float, late: Callable[[], str]) -> T:
    """What `look` finds once it is not None. Raises `DeadlineExceeded` after `timeout` s, saying `late()`."""
    ends = time.monotonic() + timeout
    while (found := await look()) is None:
        if time.monotonic() >= ends:
            raise DeadlineExceeded(f"not done after {timeout:g} s: {late()}")
        await asyncio.sleep(_LOOK_EVERY)
    return found
