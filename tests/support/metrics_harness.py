"""A metrics process of a test's own, told facts by a scheduler that the test plays."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import httpx
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from easel.facts.v1 import facts_pb2 as pb
from easel.facts.v1 import facts_pb2_grpc as rpc
from libs.rpc.server import Service, serving
from tests.support.free_ports import free_port
from tests.support.waiting import until

TOKEN = "join-t0ken"


class ScriptedFacts(rpc.FactsServiceServicer):
    """Tells what there is, and each change of it."""

    def __init__(self) -> None:
        self._all = pb.WatchResponse(full=True)
        self._followers: list[asyncio.Queue[pb.WatchResponse]] = []

    async def Watch(self, request: pb.WatchRequest, context: Any) -> AsyncIterator[pb.WatchResponse]:
        news: asyncio.Queue[pb.WatchResponse] = asyncio.Queue()
        news.put_nowait(self._all)
        self._followers.append(news)
        try:
            while True:
                yield await news.get()
        finally:
            self._followers.remove(news)

    def tell(self, **change: Any) -> None:
        """Tells services, nodes or gateways, or that some are removed."""
        told = pb.WatchResponse(**change)
        kept = [each for each in self._all.services if each.name not in told.removed_services]
        self._all = pb.WatchResponse(
            full=True,
            services=[*kept, *told.services],
            nodes=[*self._all.nodes, *told.nodes],
            gateways=[*self._all.gateways, *told.gateways],
        )
        for news in self._followers:
            news.put_nowait(told)

    def register(self, server: Any) -> None:
        rpc.add_FactsServiceServicer_to_server(self, server)


@dataclass
class Metrics:
    """Where a metrics process is found, and how it is started and ended."""

    data_dir: Path
    scheduler: str
    port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)
    process: asyncio.subprocess.Process | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    async def start(self) -> None:
        """Returns when it takes numbers."""
        variables = {
            "LISTEN": self.address,
            "HTTP_LISTEN": f"127.0.0.1:{self.http_port}",
            "SCHEDULER": self.scheduler,
            "JOIN_TOKEN": TOKEN,
            "DATA_DIR": str(self.data_dir),
        }
        env = {**os.environ, **{f"EASEL_METRICS_{name}": value for name, value in variables.items()}}
        self.process = await asyncio.create_subprocess_exec(sys.executable, "-m", "services.metrics", env=env)
        await until(self._answers, "metrics to answer")

    async def stop(self, *, kill: bool = False) -> int:
        """Ends it and says how it ended."""
        assert self.process is not None
        if self.process.returncode is None:
            if kill:
                self.process.kill()
            else:
                self.process.terminate()
        return await asyncio.wait_for(self.process.wait(), 20)

    async def text(self) -> httpx.Response:
        """What Prometheus would be told."""
        async with httpx.AsyncClient(timeout=20) as http:
            return await http.get(f"http://127.0.0.1:{self.http_port}/metrics")

    async def value(self, name: str, **labels: str) -> float | None:
        """The sum of the samples of this name that have these labels; None where there is none."""
        found = [
            sample.value
            for family in families((await self.text()).text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        ]
        return sum(found) if found else None

    async def _answers(self) -> bool:
        try:
            await self.text()
        except httpx.HTTPError:
            return False
        return True


def families(text: str) -> list[Any]:
    """The text as a reader of OpenMetrics takes it; it refuses what is none."""
    return list(text_string_to_metric_families(text))


@asynccontextmanager
async def facts_feed(facts: ScriptedFacts) -> AsyncIterator[str]:
    """Serves the feed; yields its address."""
    async with serving([Service("easel.facts.v1.FactsService", facts.register)], "127.0.0.1:0") as port:
        yield f"127.0.0.1:{port}"


@asynccontextmanager
async def metrics_process(data_dir: Path, scheduler: str) -> AsyncIterator[Metrics]:
    """A metrics process that runs inside the block."""
    metrics = Metrics(data_dir, scheduler)
    await metrics.start()
    try:
        yield metrics
    finally:
        await metrics.stop()


def stream_metrics(channel: grpc.aio.Channel) -> Any:
    """The call on which Envoy sends what it counted; takes messages in bytes."""
    return channel.stream_unary(
        "/envoy.service.metrics.v3.MetricsService/StreamMetrics",
        request_serializer=lambda message: message.SerializeToString(),
    )
