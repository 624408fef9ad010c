"""Once a second, what the node and its instances use, to metrics for as long as it is there."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Protocol

import grpc

from easel.metrics.v1 import metrics_pb2 as pb
from easel.metrics.v1 import metrics_pb2_grpc as rpc
from libs.domain.errors import EaselError
from libs.rpc.following import Outage
from services.agent.gpu_readings import GpuReading
from services.agent.runtime.port import Running, Runtime
from services.agent.runtime.threads import in_own_thread
from services.agent.telemetry.looking import Look
from services.agent.telemetry.node import use_of_node
from services.agent.telemetry.posted import Posted
from services.agent.telemetry.report import Read, report_of

log = logging.getLogger(__name__)

EVERY = 1.0
# What has not been read by then is told with the next report.
READ_WITHIN = 0.5
FIRST_WAIT = 0.2
LONGEST_WAIT = 10.0


class Cards(Protocol):
    """The GPUs; blocks."""

    def readings(self) -> tuple[GpuReading, ...]: ...


class Sampler:
    """Reads the node, its instances and its GPUs side by side: none waits for another."""

    def __init__(
        self,
        node: str,
        directory: Path,
        runtime: Runtime,
        cards: Cards,
        running: Callable[[], Sequence[Running]],
        posted: Posted,
    ) -> None:
        self._node, self._running, self._posted = node, running, posted
        self._use = Look("node", partial(in_own_thread, partial(use_of_node, directory)))
        self._uses = Look("instances", lambda: runtime.usage(running()))
        self._gpus = Look("gpus", partial(in_own_thread, cards.readings))

    async def sample(self) -> pb.NodeReport:
        """What could be read by now."""
        await asyncio.wait([self._use.start(), self._uses.start(), self._gpus.start()], timeout=READ_WITHIN)
        read = Read(self._use.outcome(), self._uses.outcome() or {}, self._gpus.outcome() or ())
        return report_of(self._node, datetime.now(UTC), read, self._running(), self._posted.untold())

    def begin(self) -> None:
        """For a listener that knows nothing yet: new readings, and all that was posted and still counts."""
        self._posted.tell_again()
        for look in (self._use, self._uses, self._gpus):
            look.drop()

    def close(self) -> None:
        for look in (self._use, self._uses, self._gpus):
            look.cancel()


class Telling:
    """Keeps one stream of reports open. An outage is said once; what happens meanwhile is not made up for."""

    def __init__(self, dial: Callable[[], grpc.aio.Channel], sampler: Sampler, outage: Outage) -> None:
        self._dial, self._sampler, self._outage = dial, sampler, outage
        self._told = 0

    async def run(self) -> None:
        """Until cancelled."""
        wait = FIRST_WAIT
        try:
            while True:
                self._told = 0
                why = await self._stream()
                if self._told > 1:
                    wait = FIRST_WAIT
                self._outage.lasts(why, "node")
                await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311
                wait = min(LONGEST_WAIT, wait * 1.6)
        finally:
            self._sampler.close()

    async def _stream(self) -> str:
        """Why it ended."""
        self._sampler.begin()
        try:
            async with self._dial() as channel:
                await rpc.TelemetryServiceStub(channel).Report(self._reports())
            return "metrics ended the stream"
        except grpc.aio.AioRpcError as refused:
            return refused.details() or refused.code().name
        except (EaselError, OSError) as refused:
            return str(refused)

    async def _reports(self) -> AsyncIterator[pb.ReportRequest]:
        while True:
            due = time.monotonic() + EVERY
            try:
                report = await self._sampler.sample()
            except Exception:
                # Out of here it would end the stream without a word.
                log.exception("a report could not be made")
            else:
                yield pb.ReportRequest(node=report)
                self._told += 1
                if self._told > 1:
                    self._outage.over("node")
            await asyncio.sleep(max(0.05, due - time.monotonic()))
