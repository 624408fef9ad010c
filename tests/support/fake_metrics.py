"""A metrics service that an agent can dial: it remembers what it is told."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from easel.metrics.v1 import metrics_pb2 as pb
from easel.metrics.v1 import metrics_pb2_grpc as rpc
from tests.support.loopback_server import served


class FakeMetrics(rpc.TelemetryServiceServicer):
    """Every report of nodes, in the order in which they came, and the newest of each other part."""

    def __init__(self) -> None:
        self.nodes: list[pb.NodeReport] = []
        self.components: dict[str, pb.ComponentReport] = {}
        self.tokens: set[str] = set()

    async def Report(
        self, request_iterator: AsyncIterator[pb.ReportRequest], context: Any
    ) -> pb.ReportResponse:
        self.tokens |= {value for key, value in context.invocation_metadata() if key == "authorization"}
        async for request in request_iterator:
            if request.WhichOneof("report") == "node":
                self.nodes.append(request.node)
            else:
                self.components[request.component.component] = request.component
        return pb.ReportResponse()

    def use_of(self, instance: str) -> pb.InstanceUse | None:
        """The newest that was told of an instance."""
        told = (use for report in reversed(self.nodes) for use in report.instances)
        return next((use for use in told if use.instance == instance), None)

    def posted(self) -> list[tuple[str, str, dict[str, str], float]]:
        """All values that programs posted, with the instance, name and tags."""
        custom = (value for report in self.nodes for value in report.custom)
        return [(each.instance, each.name, dict(each.tags), each.value) for each in custom]


def taking(metrics: FakeMetrics, port: int = 0) -> AbstractAsyncContextManager[int]:
    """Serves it on a port of loopback, and is gone at the end as if it were killed."""
    return served(partial(rpc.add_TelemetryServiceServicer_to_server, metrics), port)
