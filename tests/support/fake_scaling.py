"""A scheduler and a metrics service, as far as the autoscaler sees them, on one unix socket."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import grpc

from easel.autoscaler.v1 import autoscaler_pb2, autoscaler_pb2_grpc
from easel.facts.v1 import facts_pb2, facts_pb2_grpc
from easel.metrics.v1 import metrics_pb2, metrics_pb2_grpc
from libs.domain.errors import Conflict
from libs.rpc.interceptors import Refusals
from libs.rpc.server import Service, serving

_TICK_S = 0.05


class FakeScaling(
    facts_pb2_grpc.FactsServiceServicer,
    autoscaler_pb2_grpc.ScalingServiceServicer,
    metrics_pb2_grpc.MetricsServiceServicer,
):
    """Keeps services with as many ready instances as they are wanted, and numbers by measure and service."""

    def __init__(self) -> None:
        self.services: dict[str, facts_pb2.ServiceFacts] = {}
        self.numbers: dict[tuple[str, str], float] = {}
        self.connections: dict[str, float] = {}
        self.applied: list[autoscaler_pb2.ApplyRequest] = []
        # What the next calls of Apply are answered with, one each.
        self.refusing: list[Exception] = []
        self.metrics_away = False
        self.asked: list[metrics_pb2.WatchRequest] = []
        self._followers: set[asyncio.Queue[facts_pb2.WatchResponse]] = set()

    def tell(self, name: str, wanted: int, policy: str = "", **more: Any) -> None:
        """A service as it is from now on; all its instances are ready."""
        self.services[name] = facts_pb2.ServiceFacts(
            name=name,
            wanted=wanted,
            autoscaler_json=policy,
            instances=[facts_pb2.InstanceFacts(id=f"{name}-{n}", ready=True) for n in range(wanted)],
            **more,
        )
        for follower in self._followers:
            follower.put_nowait(facts_pb2.WatchResponse(services=[self.services[name]]))

    def wanted(self, name: str) -> int:
        return self.services[name].wanted

    async def Apply(self, request: autoscaler_pb2.ApplyRequest, context: Any) -> autoscaler_pb2.ApplyResponse:
        if self.refusing:
            raise self.refusing.pop(0)
        told = self.services[request.service]
        if told.wanted != request.expected_wanted:
            raise Conflict(f"{request.service} has {told.wanted} by now")
        self.applied.append(request)
        self.tell(
            request.service,
            request.wanted,
            told.autoscaler_json,
            autoscaler_revision=told.autoscaler_revision,
        )
        return autoscaler_pb2.ApplyResponse(wanted=request.wanted)

    async def Instant(self, request: metrics_pb2.InstantRequest, context: Any) -> metrics_pb2.InstantResponse:
        return metrics_pb2.InstantResponse(
            values=[
                metrics_pb2.Value(measure="connections", kind="instance", subject=each, value=value)
                for each, value in self.connections.items()
            ]
        )

    def Watch(self, request: Any, context: Any) -> AsyncIterator[Any]:
        """Both contracts call it so; the request tells which is meant."""
        if isinstance(request, facts_pb2.WatchRequest):
            return self._facts()
        self.asked.append(request)
        return self._batches(request)

    async def _facts(self) -> AsyncIterator[facts_pb2.WatchResponse]:
        queue: asyncio.Queue[facts_pb2.WatchResponse] = asyncio.Queue()
        self._followers.add(queue)
        try:
            yield facts_pb2.WatchResponse(full=True, services=self.services.values())
            while True:
                yield await queue.get()
        finally:
            self._followers.discard(queue)

    async def _batches(self, request: metrics_pb2.WatchRequest) -> AsyncIterator[metrics_pb2.InstantResponse]:
        while not self.metrics_away:
            yield metrics_pb2.InstantResponse(
                values=[
                    metrics_pb2.Value(
                        measure=asked.measure,
                        kind="service",
                        subject=subject,
                        window_s=asked.window_s,
                        value=self.numbers[asked.measure, subject],
                    )
                    for asked in request.selectors
                    for subject in asked.subjects
                    if (asked.measure, subject) in self.numbers
                ]
            )
            await asyncio.sleep(_TICK_S)


@asynccontextmanager
async def serving_scaling(fake: FakeScaling, directory: Path) -> AsyncIterator[str]:
    """Serves it; yields its address. Entering again with the same directory is a restart."""
    address = f"unix:{directory / 'scaling.sock'}"
    services = [
        Service(
            "easel.facts.v1.FactsService", partial(facts_pb2_grpc.add_FactsServiceServicer_to_server, fake)
        ),
        Service(
            "easel.autoscaler.v1.ScalingService",
            partial(autoscaler_pb2_grpc.add_ScalingServiceServicer_to_server, fake),
        ),
        Service(
            "easel.metrics.v1.MetricsService",
            partial(metrics_pb2_grpc.add_MetricsServiceServicer_to_server, fake),
        ),
    ]
    interceptors: list[grpc.aio.ServerInterceptor] = [Refusals()]
    async with serving(services, address, drain_for=timedelta(0), interceptors=interceptors):
        yield address
