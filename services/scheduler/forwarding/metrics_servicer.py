"""MetricsService for those with an admin token: calls are handed on to the metrics service."""

from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import grpc

from easel.metrics.v1 import metrics_pb2, metrics_pb2_grpc
from services.scheduler.forwarding.peer import Peer

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
_LOOK_SECONDS = 5.0


class MetricsForwarder(metrics_pb2_grpc.MetricsServiceServicer):
    def __init__(self, metrics: Peer) -> None:
        self._metrics = metrics

    async def Instant(
        self, request: metrics_pb2.InstantRequest, context: Context
    ) -> metrics_pb2.InstantResponse:
        return await self._metrics.call(self._stub.Instant, request, _LOOK_SECONDS)

    async def Range(self, request: metrics_pb2.RangeRequest, context: Context) -> metrics_pb2.RangeResponse:
        return await self._metrics.call(self._stub.Range, request, _LOOK_SECONDS)

    async def Watch(
        self, request: metrics_pb2.WatchRequest, context: Context
    ) -> AsyncIterator[metrics_pb2.InstantResponse]:
        async for told in self._metrics.stream(self._stub.Watch, request):
            yield told

    @property
    def _stub(self) -> "metrics_pb2_grpc.MetricsServiceAsyncStub":
        return metrics_pb2_grpc.MetricsServiceStub(self._metrics.channel)
