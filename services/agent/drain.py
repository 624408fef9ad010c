"""Waiting until nobody is connected to an instance any more, for a bounded time.

A gateway closes its idle connections to an instance that leaves the traffic at once, and each busy one with
the end of its request. So does whoever calls directly. No connection means that no request is in flight.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from libs.domain.errors import EaselError
from services.agent.runtime.port import Running, Runtime

LOOK_EVERY = 0.05
# A look costs more than nothing, and many may drain at once for long.
SLOWEST_LOOK = 0.5
LOOK_WITHIN = 5.0
TOLD_EVERY = 1.0
# A connection may be made between two looks by a gateway that is just hearing of the change.
CALM_LOOKS = 2


@dataclass(frozen=True)
class Waiting:
    """How far the wait is: how many looks in a row found nobody."""

    calm: int = 0

    def after(self, connections: int) -> "Waiting":
        return Waiting(self.calm + 1 if connections == 0 else 0)

    @property
    def over(self) -> bool:
        return self.calm >= CALM_LOOKS


async def drained(
    running: Running, runtime: Runtime, within: timedelta, unseen: timedelta, tell: Callable[[int], None]
) -> None:
    """Ends when the connections have ended, or after `within`; when they cannot be seen for `unseen`, too.

    `tell` hears their number, once a second at most.
    """
    ends = time.monotonic() + within.total_seconds()
    blind_since: float | None = None
    waiting, told, told_at, wait = Waiting(), 0, 0.0, LOOK_EVERY
    while time.monotonic() < ends:
        connections = await _seen(running, runtime)
        if connections is None:
            # Such as an engine that is only just being restarted, with long streams open.
            blind_since = blind_since or time.monotonic()
            if time.monotonic() - blind_since >= unseen.total_seconds():
                return
            await asyncio.sleep(min(LOOK_EVERY, unseen.total_seconds(), max(0.0, ends - time.monotonic())))
            continue
        blind_since, waiting = None, waiting.after(connections)
        if waiting.over:
            break
        if connections != told and time.monotonic() - told_at >= TOLD_EVERY:
            told, told_at = connections, time.monotonic()
            tell(connections)
        wait = min(SLOWEST_LOOK, wait * 1.2) if connections else LOOK_EVERY
        await asyncio.sleep(min(wait, max(0.0, ends - time.monotonic())))
    if told:
        tell(0)


async def _seen(running: Running, runtime: Runtime) -> int | None:
    try:
        async with asyncio.timeout(LOOK_WITHIN):
            return await runtime.connections(running)
    except (EaselError, OSError):
        return None
