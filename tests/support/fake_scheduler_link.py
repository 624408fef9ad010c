"""A scheduler that an agent can dial: it remembers what it is told and says what a test wants said."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from easel.agent.v1 import agent_pb2 as pb
from easel.agent.v1 import agent_pb2_grpc as rpc
from easel.common.v1 import common_pb2 as common
from tests.support.loopback_server import served
from tests.support.waiting import until


class FakeScheduler(rpc.AgentLinkServiceServicer):
    """Keeps the level: the newest report of each instance, as a real one would."""

    def __init__(self, epoch: int = 1) -> None:
        self.epoch, self.port = epoch, 0
        self.hellos: list[pb.Hello] = []
        self.heartbeats: list[pb.Heartbeat] = []
        self.reports: dict[str, pb.InstanceReport] = {}
        self.history: list[pb.InstanceReport] = []
        self.tokens: set[str] = set()
        self.assignments: dict[str, pb.Assignment] = {}
        self.pulls: list[pb.ImagePull] = []
        self.pull_reports: dict[str, pb.ImagePullReport] = {}
        self._logs: dict[str, asyncio.Queue[pb.LogChunk]] = {}
        self._out: asyncio.Queue[pb.ConnectResponse] = asyncio.Queue()

    async def Connect(
        self, request_iterator: AsyncIterator[pb.ConnectRequest], context: Any
    ) -> AsyncIterator[pb.ConnectResponse]:
        self.tokens |= {value for key, value in context.invocation_metadata() if key == "authorization"}
        first = await anext(request_iterator)
        self.hellos.append(first.hello)
        for report in first.hello.running:
            self._take(report)
        self._out = asyncio.Queue()
        self.say_desired()
        reading = asyncio.create_task(self._read(request_iterator))
        try:
            while True:
                yield await self._out.get()
        finally:
            reading.cancel()

    def assign(self, instance: str, script: str, **changes: Any) -> None:
        """One more instance to run. `changes` are fields of the assignment or keys of the container, and
        `metadata`, `storage` and `metrics` those of its service.json."""
        known = {field.name for field in pb.Assignment.DESCRIPTOR.fields}
        storage, metadata = changes.pop("storage", []), changes.pop("metadata", {})
        metrics = changes.pop("metrics", [])
        container = {key: value for key, value in changes.items() if key not in known}
        spec = {
            "metadata": {"name": "digits", "instance": 1, "cpu": 1, "memory": 256, **metadata},
            "containers": [{"image": "python:3.11-slim", "script": script, "port": 8000, **container}],
            "storage": storage,
            "metrics": metrics,
        }
        fields = {key: value for key, value in changes.items() if key in known}
        fields.setdefault("resources", common.Resources(cpu_milli=1000, memory_mib=256))
        self.assignments[instance] = pb.Assignment(
            **{"id": instance, "service": "digits", "version": 1, "epoch": 1, **fields},
            spec_json=json.dumps(spec),
        )
        self.say_desired()

    def ask_to_stop(self, instance: str) -> None:
        self.assignments[instance].stop = True
        self.say_desired()

    def forget(self, instance: str) -> None:
        del self.assignments[instance]
        self.say_desired()

    def say_desired(self, epoch: int | None = None) -> None:
        desired = pb.DesiredState(
            epoch=epoch or self.epoch, assignments=self.assignments.values(), pulls=self.pulls
        )
        self._out.put_nowait(pb.ConnectResponse(desired=desired))

    async def log_of(self, instance: str) -> str:
        request = pb.LogRequest(request_id=f"log-{len(self._logs)}", instance_id=instance)
        chunks = self._logs[request.request_id] = asyncio.Queue()
        self._out.put_nowait(pb.ConnectResponse(log_request=request))
        text = b""
        async with asyncio.timeout(10):
            while not (chunk := await chunks.get()).end:
                text += chunk.text
        return text.decode() + chunk.error

    async def sees(
        self, instance: str, fits: Callable[[pb.InstanceReport], bool], what: str, within: float = 20.0
    ) -> pb.InstanceReport:
        def look() -> pb.InstanceReport | None:
            report = self.reports.get(instance)
            return report if report is not None and fits(report) else None

        found = await until(look, f"{instance} {what}", within)
        assert found is not None
        return found

    async def sees_ready(self, instance: str) -> pb.InstanceReport:
        return await self.sees(instance, lambda report: report.ready, "to be ready")

    def _take(self, report: pb.InstanceReport) -> None:
        self.reports[report.id] = report
        self.history.append(report)

    async def _read(self, requests: AsyncIterator[pb.ConnectRequest]) -> None:
        async for request in requests:
            match request.WhichOneof("message"):
                case "heartbeat":
                    self.heartbeats.append(request.heartbeat)
                case "reports":
                    for report in request.reports.instances:
                        self._take(report)
                case "image_pulls":
                    self.pull_reports |= {report.id: report for report in request.image_pulls.pulls}
                case "log_chunk":
                    self._logs[request.log_chunk.request_id].put_nowait(request.log_chunk)


def listening(scheduler: FakeScheduler, port: int = 0) -> AbstractAsyncContextManager[int]:
    """Serves it on a port of loopback, and is gone at the end as if it were killed."""
    return served(partial(rpc.add_AgentLinkServiceServicer_to_server, scheduler), port)
