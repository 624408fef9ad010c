"""Tells the scheduler for which services requests wait, so that they are woken."""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from easel.gateway.v1 import gateway_pb2 as pb
from libs.lifecycle import wait_until_any
from services.gateway.waiting.queue import Line
from services.gateway.waiting.room import WaitingRoom

# As often at most, unless a service is new among those that are waited for.
EVERY = timedelta(milliseconds=200)


class WaitingReports:
    """Says how many wait, as a level: at once for a service of which none did, else at a measured pace."""

    def __init__(self, room: WaitingRoom, tell: Callable[[pb.ConnectRequest], None]) -> None:
        self._room, self._tell = room, tell
        self._changed, self._urgent = asyncio.Event(), asyncio.Event()
        self._told: frozenset[str] = frozenset()
        room.on_changed = self._on_changed

    async def run(self, until: asyncio.Event) -> None:
        """Tells until stopped."""
        while not until.is_set():
            await wait_until_any(timedelta(hours=1), self._changed, until)
            if not self._changed.is_set():
                continue
            self._changed.clear()
            self._urgent.clear()
            self._room.forget()
            self._told = _waited_for(self._room.lines)
            message = level(self._room.lines, time.monotonic(), datetime.now(UTC))
            self._tell(pb.ConnectRequest(waiting=message))
            await wait_until_any(EVERY, self._urgent, until)

    def _on_changed(self) -> None:
        self._changed.set()
        if _waited_for(self._room.lines) - self._told:
            self._urgent.set()


def level(lines: Mapping[str, Line], now: float, at: datetime) -> pb.Waiting:
    """All services of which requests wait or ever waited; `now` is by the gateway's clock."""
    message = pb.Waiting()
    for name, line in sorted(lines.items()):
        said = message.services.add(
            service=name,
            requests=len(line.places),
            released=line.released,
            refused=line.refused,
            waited_s=line.waited,
            routing_s=line.routing,
        )
        if line.places:
            said.since.FromDatetime(at - timedelta(seconds=now - line.since))
    return message


def _waited_for(lines: Mapping[str, Line]) -> frozenset[str]:
    return frozenset(name for name, line in lines.items() if line.places)
