"""Numbers as the metrics service has them, over the admin API."""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from easel.metrics.v1 import metrics_pb2 as pb
from easel.metrics.v1 import metrics_pb2_grpc as rpc
from easel_sdk import _convert_scaling as convert
from easel_sdk._wire import Wire
from easel_sdk.scaling_types import MetricSeries, MetricValues, Selector

_LAST = timedelta(minutes=5)


class AsyncMetrics:
    """Requests, latency, use of CPU, memory and GPUs: now, over time, or as they come."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._stub = rpc.MetricsServiceStub(wire.channel)

    async def instant(self, *selectors: Selector) -> MetricValues:
        """Every number that is known of what was asked for."""
        request = pb.InstantRequest(selectors=_sent(selectors))
        return convert.values(await self._wire.call(self._stub.Instant, request, repeatable=True))

    async def range(
        self, selector: Selector, *, last: timedelta = _LAST, step: timedelta | None = None
    ) -> tuple[MetricSeries, ...]:
        """The numbers of the last time; without `step`, in about 120 points.

        An hour at most; of services, as long as metrics keeps a history (a day), in steps of whole minutes.
        Raises `InvalidRequest` for more.
        """
        request = convert.range_to_proto(selector, last, step)
        answer = await self._wire.call(self._stub.Range, request, repeatable=True)
        return tuple(convert.series(each) for each in answer.series)

    async def watch(self, *selectors: Selector) -> AsyncIterator[MetricValues]:
        """All of them once a second, also across a service that was away for a moment."""

        def request() -> pb.WatchRequest:
            return pb.WatchRequest(selectors=_sent(selectors))

        async for message in self._wire.stream(self._stub.Watch, request, again=True):
            yield convert.values(message)


def _sent(selectors: Sequence[Selector]) -> list[pb.Selector]:
    return [convert.selector_to_proto(each) for each in selectors]
