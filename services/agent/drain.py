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
    """Ends when the connections have ended, or after `within`; where they cannot be seen, after `unseen`.

    `tell` hears their number, once a second at most.
    """
    ends = time.monotonic() + within.total_seconds()
    waiting, told, told_at, wait = Waiting(), 0, 0.0, LOOK_EVERY
    while time.monotonic() < ends:
        try:
            connections = await runtime.connections(running)
        except (EaselError, OSError):
            connections = None
        if connections is None:
            await asyncio.sleep(min(unseen, within).total_seconds())
            return
        waiting = waiting.after(connections)
        if waiting.over:
            break
        if connections != told and time.monotonic() - told_at >= TOLD_EVERY:
            told, told_at = connections, time.monotonic()
            tell(connections)
        wait = min(SLOWEST_LOOK, wait * 1.2) if connections else LOOK_EVERY
        await asyncio.sleep(min(wait, max(0.0, ends - time.monotonic())))
    if told:
        tell(0)
