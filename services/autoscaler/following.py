"""The two streams that the autoscaler lives on: facts of the scheduler, numbers of metrics."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

import grpc

from easel.facts.v1 import facts_pb2, facts_pb2_grpc
from easel.metrics.v1 import metrics_pb2 as pb
from easel.metrics.v1 import metrics_pb2_grpc
from libs.lifecycle import pause, wait_until_any
from services.autoscaler.facts import Facts
from services.autoscaler.observing import Numbers, selectors

log = logging.getLogger(__name__)

_AGAIN = timedelta(seconds=0.5)
_PATIENCE_S = 15.0
# A part that is only just starting is not worth a word.
_QUIET_FOR_S = 1.5
# As many selectors as one call may have.
_MOST_SELECTORS = 100


class Outage:
    """Says once that something is away, and once that it is back; not while the outage is young."""

    def __init__(self, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._what, self._clock = what, clock
        self._since: float | None = None
        self._said = False

    def over(self) -> None:
        if self._said:
            log.info("what was away is back", extra={"what": self._what})
        self._since, self._said = None, False

    def lasts(self, why: str) -> None:
        """To be called again and again while it is away."""
        now = self._clock()
        if self._since is None:
            self._since = now
        if not self._said and now - self._since >= _QUIET_FOR_S:
            self._said = True
            log.warning("a part is away and is dialled again", extra={"what": self._what, "why": why})


class FollowingFacts:
    """Keeps the facts at what the scheduler says. While it is away, there are none to decide on."""

    def __init__(self, channel: grpc.aio.Channel, facts: Facts) -> None:
        self._stub: facts_pb2_grpc.FactsServiceAsyncStub = facts_pb2_grpc.FactsServiceStub(channel)
        self._facts = facts
        self._outage = Outage("scheduler")

    async def run(self, until: asyncio.Event) -> None:
        """Follows until stopped, again and again."""
        while not until.is_set():
            why = await _until_stopped(self._follow(), until)
            self._facts.connected = False
            if not until.is_set():
                self._outage.lasts(why)
                await pause(until, _AGAIN)

    async def _follow(self) -> None:
        call = self._stub.Watch(facts_pb2.WatchRequest(component="autoscaler"))
        try:
            async with asyncio.timeout(_PATIENCE_S):
                told = await call.read()
            while isinstance(told, facts_pb2.WatchResponse):
                self._outage.over()
                self._facts.take(told)
                told = await call.read()
        finally:
            call.cancel()


class FollowingNumbers:
    """Keeps the numbers that policies need at what metrics measures; other policies, other numbers."""

    def __init__(
        self, channel: grpc.aio.Channel, facts: Facts, numbers: Numbers, wake: Callable[[], None]
    ) -> None:
        self._stub: metrics_pb2_grpc.MetricsServiceAsyncStub = metrics_pb2_grpc.MetricsServiceStub(channel)
        self._facts, self._numbers, self._wake = facts, numbers, wake
        self._outage = Outage("metrics")
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
                await pause(until, _AGAIN)

    def _is_other(self, version: int, wanted: list[pb.Selector]) -> bool:
        return version != self._facts.policies and wanted != selectors(self._facts.subjects.values())

    async def _watch(self, number: int, wanted: list[pb.Selector], ended: asyncio.Event) -> None:
        call = self._stub.Watch(pb.WatchRequest(selectors=wanted))
        try:
            async with asyncio.timeout(_PATIENCE_S):
                batch = await call.read()
            while isinstance(batch, pb.InstantResponse):
                self._outage.over()
                self._numbers.take(batch, number)
                self._wake()
                batch = await call.read()
            self._outage.lasts("the stream ended")
        except (grpc.aio.AioRpcError, TimeoutError) as refused:
            self._outage.lasts(_reason(refused))
        finally:
            call.cancel()
            ended.set()


async def _until_stopped(following: Coroutine[Any, Any, None], until: asyncio.Event) -> str:
    """Why following ended, or "" when it was stopped."""
    task, stopping = asyncio.create_task(following), asyncio.create_task(until.wait())
    await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    task.cancel()
    result = (await asyncio.gather(task, return_exceptions=True))[0]
    if isinstance(result, grpc.aio.AioRpcError | TimeoutError):
        return _reason(result)
    if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
        raise result
    return "the stream ended"


def _reason(result: BaseException) -> str:
    if isinstance(result, grpc.aio.AioRpcError):
        return f"{result.code().name}: {result.details()}"
    return "it said nothing"
