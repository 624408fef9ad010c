"""What a real Envoy counts, in a metrics process of its own, over every restart."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from easel.common.v1 import common_pb2
from easel.facts.v1 import facts_pb2 as pb
from easel.gateway.v1.gateway_pb2 import Backend, Hold, Limits
from easel.metrics.v1 import metrics_pb2
from easel.metrics.v1 import metrics_pb2_grpc as rpc
from libs.rpc.client import dial
from services.metrics.exposition import CONTENT_TYPE
from tests.support.counting_envoy import CountingEnvoy
from tests.support.gateway_harness import Harness, bearer, echo_backend, harness, service
from tests.support.metrics_harness import (
    TOKEN,
    Metrics,
    ScriptedFacts,
    facts_feed,
    families,
    metrics_process,
    stream_metrics,
)
from tests.support.waiting import until

ECHO = pb.ServiceFacts(
    name="echo",
    version=1,
    gateway="gateway",
    wanted=1,
    state=common_pb2.SERVICE_STATE_RUNNING,
    instances=[pb.InstanceFacts(id="echo-1", node="n1", ready=True)],
)
GATEWAY = pb.GatewayFacts(name="gateway", connected=True, envoys=1)


@dataclass
class Stage:
    """A gateway that pushes to metrics, and an echo behind it."""

    metrics: Metrics
    facts: ScriptedFacts
    gateway: Harness
    sent: int = 0

    async def request(self, times: int, path: str = "") -> None:
        for _ in range(times):
            self.sent += 1
            await self.gateway.http.get(
                f"{self.gateway.url}/api/predict/echo/{path}", headers=bearer(), timeout=5
            )

    async def answered(self, code_class: str = "2xx", **labels: str) -> float | None:
        return await self.metrics.value(
            "easel_service_requests_total", service="echo", code_class=code_class, **labels
        )

    async def counted(self, number: int, code_class: str = "2xx") -> None:
        """Waits until there are so many; more is wrong, whenever it is seen."""

        async def reached() -> bool:
            answered = await self.answered(code_class)
            assert answered is None or answered <= number
            return answered == number

        await until(reached, f"{number} answers of {code_class} to be counted")

    async def remove(self) -> None:
        """Takes the echo away, and waits for a message of Envoy without it."""
        await self.gateway.scheduler.until_applied(self.gateway.scheduler.remove("echo"))
        await self.request(1)

        async def heard() -> bool:
            return await self.metrics.value("easel_gateway_requests_total") == self.sent

        await until(heard, "Envoy to tell of a request that nobody answered")


@asynccontextmanager
async def stage(directory: Path) -> AsyncIterator[Stage]:
    facts = ScriptedFacts()
    facts.tell(services=[ECHO], gateways=[GATEWAY])
    async with (
        facts_feed(facts) as scheduler,
        metrics_process(directory / "metrics", scheduler) as metrics,
        echo_backend() as backend,
        harness(directory / "gateway", metrics=metrics.address, join_token=TOKEN) as gateway,
    ):
        await gateway.serve(service("echo", backend.port))
        yield Stage(metrics, facts, gateway)


async def test_every_request_is_counted_over_restarts_of_metrics(tmp_path: Path) -> None:
    async with stage(tmp_path) as scene:
        assert await scene.answered() == 0
        await scene.request(20)
        await scene.counted(20)

        assert await scene.metrics.stop() == 0
        await scene.request(15)
        await scene.metrics.start()
        await scene.counted(35)

        await scene.request(5)
        await scene.metrics.stop(kill=True)
        await scene.metrics.start()
        await scene.request(5)
        await scene.counted(45)
        gateway = await scene.metrics.value("easel_gateway_requests_total", gateway="gateway")

    assert gateway == 45


async def test_classes_durations_and_rates_are_told_in_openmetrics(tmp_path: Path) -> None:
    async with stage(tmp_path) as scene:
        await scene.request(4, "status/404")
        await scene.request(3, "status/503")
        await scene.request(10)
        await scene.counted(10)
        classes = [await scene.answered(each) for each in ("4xx", "5xx")]
        durations = await scene.metrics.value("easel_service_request_duration_seconds_count", service="echo")
        response = await scene.metrics.text()
        async with dial(scene.metrics.address, TOKEN) as channel:
            selector = metrics_pb2.Selector(measure="qps", kind="service", subjects=["echo"], window_s=30)
            answer = await rpc.MetricsServiceStub(channel).Instant(
                metrics_pb2.InstantRequest(selectors=[selector])
            )

    names = {family.name for family in families(response.text)}
    assert response.headers["content-type"] == CONTENT_TYPE
    assert response.text.endswith("# EOF\n")
    assert {"easel_service_requests", "easel_gateway_uptime_seconds", "easel_component_up"} <= names
    assert classes == [4, 3]
    assert durations == 17
    # As many as came, over the seconds that Envoy told of.
    assert 0 < answer.values[0].value < 18


async def test_what_is_refused_as_it_waits_is_counted_once_and_of_no_version(tmp_path: Path) -> None:
    async with stage(tmp_path) as scene:
        asleep = Hold(requests=2, mib=1, within_ms=300)
        await scene.gateway.serve(service("echo", hold=asleep, backends=[Backend(version=1)]))
        await asyncio.gather(*(scene.request(1) for _ in range(6)))
        await scene.counted(6, "5xx")

        assert await scene.answered("5xx", version="0") == 6
        assert await scene.answered("5xx", version="1") == 0
        assert await scene.metrics.value("easel_service_requests_refused_total", reason="waiting") == 6
        assert await scene.metrics.value("easel_gateway_requests_5xx_total", gateway="gateway") == 6


async def test_errors_of_a_cluster_that_is_made_anew_are_counted_once_and_each_request_is(
    tmp_path: Path,
) -> None:
    async with stage(tmp_path) as scene, echo_backend() as backend:
        await scene.request(10, "status/500")
        await scene.request(1)
        await scene.counted(10, "5xx")
        for number in range(2, 4):
            await scene.remove()
            await scene.gateway.serve(service("echo", backend.port))
            await scene.request(1)
            await scene.counted(number)
            if number == 2:
                assert await scene.metrics.stop() == 0
                await scene.metrics.start()

        # What one more message brings is all there is.
        await scene.request(1)
        await scene.counted(4)
        assert await scene.answered("5xx") == 10


async def test_a_cluster_whose_bounds_change_is_counted_on(tmp_path: Path) -> None:
    bytes_in = "easel_service_request_bytes_total"
    async with stage(tmp_path) as scene, echo_backend() as backend:
        await scene.request(10)
        await scene.counted(10)
        one = (await scene.metrics.value(bytes_in, service="echo") or 0) / 10
        bounds = Limits(in_flight_per_instance=7)
        await scene.gateway.serve(service("echo", backend.port, limits=bounds))
        await scene.request(5)
        await scene.counted(15)

        assert await scene.metrics.value(bytes_in, service="echo") == pytest.approx(15 * one, rel=0.1)


async def test_what_was_never_called_has_nothing_in_flight_as_far_as_its_gateway_is_heard_of(
    tmp_path: Path,
) -> None:
    name = "easel_service_requests_in_flight"
    async with stage(tmp_path) as scene:
        scene.facts.tell(
            services=[
                pb.ServiceFacts(name=each, version=1, gateway=at)
                for each, at in (("idle", "gateway"), ("far", "away"))
            ]
        )

        async def is_told() -> bool:
            return await scene.metrics.value(name, service="idle", gateway="gateway") == 0

        await until(is_told, "the service that was never called")
        assert await scene.metrics.value(name, service="far") is None


async def test_numbers_need_the_join_token(tmp_path: Path) -> None:
    async with (
        facts_feed(ScriptedFacts()) as scheduler,
        metrics_process(tmp_path, scheduler) as metrics,
        dial(metrics.address, "another") as channel,
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stream_metrics(channel)(iter(CountingEnvoy().messages()))

    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
