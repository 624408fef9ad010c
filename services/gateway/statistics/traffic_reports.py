"""Reports on the traffic of the services that somebody watches. Nothing is read while nobody does."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from easel.gateway.v1 import gateway_pb2 as pb
from libs.domain.errors import Unavailable
from libs.lifecycle import wait_until_any
from services.gateway.statistics.envoy_stats import Statistics
from services.gateway.statistics.reading import traffic, traffic_names

_SHORTEST = timedelta(milliseconds=500)
# Envoy looks through all it counts for each answer, and does nothing else but serve while it does.
_REST = 19
_WHENEVER = timedelta(hours=1)


class TrafficReports:
    """Says what Envoy has counted, as often as was asked for."""

    def __init__(self, statistics: Statistics, tell: Callable[[pb.ConnectRequest], None]) -> None:
        self._statistics, self._tell = statistics, tell
        self._services: frozenset[str] = frozenset()
        self._every = _SHORTEST
        self._changed = asyncio.Event()

    def watch(self, services: frozenset[str], every: timedelta) -> None:
        """Replaces what was asked for before; no services ask for nothing."""
        self._services, self._every = services, max(every, _SHORTEST)
        self._changed.set()

    async def run(self, until: asyncio.Event) -> None:
        """Reports until stopped: at once when the question changes, then at its pace where that is cheap."""
        while not until.is_set():
            self._changed.clear()
            began = time.monotonic()
            if self._services:
                await self._report(self._services)
            spent = timedelta(seconds=time.monotonic() - began)
            pace = max(self._every - spent, spent * _REST) if self._services else _WHENEVER
            await wait_until_any(pace, self._changed, until)

    async def _report(self, services: frozenset[str]) -> None:
        report = pb.TrafficReport()
        report.at.FromDatetime(datetime.now(UTC))
        try:
            counted = await self._statistics.read(traffic_names(services))
            report.services.extend(traffic(counted, services))
        except Unavailable as unavailable:
            report.why = str(unavailable)
        if services == self._services:
            self._tell(pb.ConnectRequest(traffic=report))
