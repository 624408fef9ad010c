"""Envoy sends what it counts to whoever is there for it, and misses nobody."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from easel.envoy.v1 import envoy_metrics_pb2 as envoy
from tests.support.free_ports import free_port
from tests.support.gateway_harness import EchoBackend, bearer, harness, service
from tests.support.waiting import until


class Sink(grpc.GenericRpcHandler):
    """Keeps all that it is sent, and with which token."""

    def __init__(self) -> None:
        self.messages: list[envoy.StreamMetricsMessage] = []
        self.tokens: set[str] = set()

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        assert details.method == "/envoy.service.metrics.v3.MetricsService/StreamMetrics"
        return grpc.stream_unary_rpc_method_handler(
            self.stream,
            envoy.StreamMetricsMessage.FromString,
            envoy.StreamMetricsResponse.SerializeToString,
        )

    async def stream(self, messages: Any, context: Any) -> envoy.StreamMetricsResponse:
        self.tokens.add(dict(context.invocation_metadata())["authorization"])
        async for each in messages:
            self.messages.append(each)
        return envoy.StreamMetricsResponse()

    def told(self, name: str) -> list[envoy.Metric]:
        """All numbers under a name, in the order in which they came."""
        found = (each for message in self.messages for each in message.envoy_metrics if each.name == name)
        return [number for each in found for number in each.metric]


@asynccontextmanager
async def sink_at(port: int) -> AsyncIterator[Sink]:
    sink, server = Sink(), grpc.aio.server()
    server.add_generic_rpc_handlers((sink,))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield sink
    finally:
        await server.stop(0)


async def test_what_envoy_counts_is_pushed_by_name_and_goes_on_after_an_outage(
    tmp_path: Path, echo: EchoBackend
) -> None:
    port = free_port()
    async with harness(tmp_path, metrics=f"127.0.0.1:{port}", join_token="join") as gateway:
        await gateway.serve(service("svc", echo.port), service("idle", echo.port))

        async def ask(count: int) -> None:
            url = f"{gateway.url}/api/predict/svc"
            await asyncio.gather(*(gateway.http.get(url, headers=bearer()) for _ in range(count)))

        # Nobody is there for it yet, and no request notices.
        await ask(2)
        async with sink_at(port) as first:
            await until(lambda: first.told("cluster.svc/1.upstream_rq_completed"), "the first numbers")
            await ask(3)
            done = "cluster.svc/1.upstream_rq_completed"
            await until(lambda: first.told(done)[-1].counter.value == 5, "a sum of all since the start")
            durations = "cluster.svc/1.upstream_rq_time"
            await until(
                lambda: sum(each.histogram.sample_count for each in first.told(durations)) in (3, 5),
                "histograms of what came since the message before",
            )
        await ask(1)
        async with sink_at(port) as second:
            await until(lambda: second.told(done) and second.told(done)[-1].counter.value == 6, "all of them")

    named = [each.identifier.node for each in (first.messages[0], second.messages[0])]
    assert {each.id for each in named} == {"gateway-envoy"}
    assert named[0].cluster == named[1].cluster != "easel"
    assert first.tokens == second.tokens == {"Bearer join"}
    assert first.told("server.uptime")
    assert first.told("cluster.svc/1.upstream_cx_rx_bytes_total")[-1].counter.value > 0
    # What nobody calls costs nothing.
    names = {each.name for message in first.messages for each in message.envoy_metrics}
    assert not any(name.startswith("cluster.idle/") for name in names)
