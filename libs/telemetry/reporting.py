"""Telling metrics what a part of Easel counts about itself, for as long as it runs."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

import grpc

from easel.metrics.v1 import metrics_pb2 as pb
from easel.metrics.v1 import metrics_pb2_grpc as rpc
from libs.lifecycle import pause
from libs.rpc.client import dial
from libs.rpc.following import Outage

log = logging.getLogger(__name__)

EVERY = timedelta(seconds=2)
# Metrics is started after those that report to it, and parts that end together end one by one.
_AT_FIRST = timedelta(seconds=30)
_LATER = timedelta(seconds=4)
# At its end a part waits for metrics so long.
_LAST_WORD = timedelta(seconds=1)


@dataclass(frozen=True)
class Sample:
    """One number. Name and labels are those of the catalogue of metrics; a counter ends in no `_total`."""

    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


def outage_of_metrics(component: str) -> Outage:
    """For all streams of one process to metrics."""
    return Outage(component, "metrics", at_first=_AT_FIRST, later=_LATER)


def nothing() -> Iterable[Sample]:
    """For a part that counts nothing but its process."""
    return ()


class Reporter:
    """Reports `samples()`, and what the process uses, every two seconds to the metrics at `address`.

    Without an address it does nothing. While metrics stays away it says so once, drops what it would have
    sent, and goes on when metrics is back; a process with other streams to metrics gives the `outage` that
    they share. `samples` is called in the event loop and is to be quick; one that raises is a bug, which is
    logged, and the report goes without.
    """

    def __init__(
        self,
        address: str,
        token: str,
        component: str,
        name: str,
        samples: Callable[[], Iterable[Sample]] = nothing,
        every: timedelta = EVERY,
        outage: Outage | None = None,
    ) -> None:
        self._address, self._token = address, token
        self._component, self._name, self._life = component, name, uuid4().hex
        self._samples, self._every = samples, every
        self._outage = outage or outage_of_metrics(component)

    async def run(self, until: asyncio.Event) -> None:
        """Reports until stopped."""
        if not self._address:
            return
        async with dial(self._address, self._token) as channel:
            while not until.is_set():
                why = await self._stream(rpc.TelemetryServiceStub(channel), until)
                if not until.is_set():
                    self._outage.lasts(why, "reports")
                    await pause(until, self._every)

    async def _stream(self, metrics: "rpc.TelemetryServiceAsyncStub", until: asyncio.Event) -> str:
        """Why it ended. A metrics that does not answer any more holds up no end of this part."""
        call = metrics.Report(self._reports(until))
        answered, stopped = asyncio.ensure_future(_outcome(call)), asyncio.create_task(until.wait())
        try:
            await asyncio.wait((answered, stopped), return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait((answered,), timeout=_LAST_WORD.total_seconds())
            return answered.result() if answered.done() else "metrics does not answer"
        finally:
            stopped.cancel()
            call.cancel()

    async def _reports(self, until: asyncio.Event) -> AsyncIterator[pb.ReportRequest]:
        first = True
        while not until.is_set():
            yield pb.ReportRequest(component=self._report())
            await pause(until, self._every)
            if first:
                # Sent a report, and the stream still stands: metrics is there.
                first = False
                self._outage.over("reports")

    def _report(self) -> pb.ComponentReport:
        report = pb.ComponentReport(component=self._component, name=self._name, life=self._life)
        own = {"component": self._component, "name": self._name}
        for sample in (*of_process(own), *self._of_part()):
            report.samples.add(name=sample.name, value=sample.value, labels=sample.labels)
        return report

    def _of_part(self) -> list[Sample]:
        try:
            return list(self._samples())
        except Exception:
            log.exception("what is counted could not be told", extra={"component": self._component})
            return []


async def _outcome(call: "grpc.aio.StreamUnaryCall[pb.ReportRequest, pb.ReportResponse]") -> str:
    try:
        await call
    except grpc.aio.AioRpcError as refused:
        return refused.details() or refused.code().name
    return "metrics ended the stream"


def of_process(labels: Mapping[str, str]) -> list[Sample]:
    """What this process uses, as `easel_component_*`."""
    import psutil  # Loads what no command needs.

    process = psutil.Process()
    with process.oneshot():
        times = process.cpu_times()
        return [
            Sample("easel_component_start_timestamp_seconds", process.create_time(), labels),
            Sample("easel_component_cpu_seconds", times.user + times.system, labels),
            Sample("easel_component_memory_bytes", process.memory_info().rss, labels),
            Sample("easel_component_open_files", process.num_fds(), labels),
        ]
