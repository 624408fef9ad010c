"""The two streams that the autoscaler lives on: facts of the scheduler, numbers of metrics."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import grpc

from easel.facts.v1 import facts_pb2, facts_pb2_grpc
from easel.metrics.v1 import metrics_pb2 as pb
from easel.metrics.v1 import metrics_pb2_grpc
from libs.lifecycle import pause, wait_until_any
from libs.rpc.following import AGAIN, Outage, follow, listen
from services.autoscaler.facts import Facts
from services.autoscaler.observing import Numbers, selectors

# As many selectors as one call may have.
_MOST_SELECTORS = 100


class FollowingFacts:
    """Keeps the facts at what the scheduler says. While it is away, there are none to decide on."""

    def __init__(self, channel: grpc.aio.Channel, facts: Facts) -> None:
        self._stub: facts_pb2_grpc.FactsServiceAsyncStub = facts_pb2_grpc.FactsServiceStub(channel)
        self._facts = facts
        self._outage = Outage("autoscaler", "scheduler")

    async def run(self, until: asyncio.Event) -> None:
        """Follows until stopped, again and again."""

        def opened() -> "grpc.aio.UnaryStreamCall[facts_pb2.WatchRequest, facts_pb2.WatchResponse]":
            return self._stub.Watch(facts_pb2.WatchRequest(component="autoscaler"))

        await follow(opened, self._facts.take, self._lost, self._outage, until)

    def _lost(self) -> None:
        self._facts.connected = False


class FollowingNumbers:
    """Keeps the numbers that policies need at what metrics measures; other policies, other numbers."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        facts: Facts,
        numbers: Numbers,
        wake: Callable[[], None],
        outage: Outage,
    ) -> None:
        self._stub: metrics_pb2_grpc.MetricsServiceAsyncStub = metrics_pb2_grpc.MetricsServiceStub(channel)
        self._facts, self._numbers, self._wake = facts, numbers, wake
        self._outage = outage
        self._changed = asyncio.Event()
        facts.on_change(self._changed.set)

    async def run(self, until: asyncio.Event) -> None:
        """Follows until stopped, again and again."""
        while not until.is_set():
            self._changed.clear()
            version, wanted = self._facts.policies, selectors(self._facts.subjects.values())
            ended = asyncio.Event()
            streams = [
                asyncio.create_task(self._watch(number, wanted[first : first + _MOST_SELECTORS], ended))
                for number, first in enumerate(range(0, len(wanted), _MOST_SELECTORS))
            ]
            self._numbers.streams(len(streams))
            while not until.is_set() and not ended.is_set() and not self._is_other(version, wanted):
                version = self._facts.policies
                await wait_until_any(timedelta(seconds=60), self._changed, ended, until)
                self._changed.clear()
            for stream in streams:
                stream.cancel()
            for result in await asyncio.gather(*streams, return_exceptions=True):
                if isinstance(result, Exception):
                    raise result
            if ended.is_set() and not until.is_set():
                await pause(until, AGAIN)

    def _is_other(self, version: int, wanted: list[pb.Selector]) -> bool:
        return version != self._facts.policies and wanted != selectors(self._facts.subjects.values())

    async def _watch(self, number: int, wanted: list[pb.Selector], ended: asyncio.Event) -> None:
        def take(batch: pb.InstantResponse) -> None:
            self._numbers.take(batch, number)
            self._wake()

        try:
            await listen(self._stub.Watch(pb.WatchRequest(selectors=wanted)), take, self._outage)
        finally:
            ended.set()
