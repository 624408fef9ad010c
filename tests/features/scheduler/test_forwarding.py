"""Numbers and replays through the scheduler: handed on to the services that answer them, or why not."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest

from easel_sdk import AsyncEasel
from easel_sdk.errors import FailedPrecondition, InvalidRequest, InvalidSpec, PermissionDenied, Unavailable
from easel_sdk.types import LoadPoint, Selector
from services.autoscaler.__main__ import run as run_autoscaler
from services.autoscaler.settings import Settings as AutoscalerSettings
from services.metrics.__main__ import run as run_metrics
from services.metrics.settings import Settings as MetricsSettings
from tests.support.free_ports import free_port
from tests.support.scheduler_harness import RunningScheduler, a_scheduler, an_agent
from tests.support.waiting import until

WANTED = Selector("wanted")
POLICY = {"min": 1, "max": 9, "scaleStrategies": [{"metricName": "qps", "threshold": 10}]}


@asynccontextmanager
async def metrics_at(address: str, scheduler: RunningScheduler, directory: Path) -> AsyncIterator[None]:
    settings = MetricsSettings(
        listen=address,
        http_listen="",
        scheduler=scheduler.address,
        join_token=scheduler.join_token,
        data_dir=directory / "metrics",
    )
    stop, ready = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(run_metrics(settings, stop, ready))
    try:
        await asyncio.wait_for(ready.wait(), 10)
        yield
    finally:
        stop.set()
        await asyncio.wait_for(running, 10)


def curve(*values: float) -> list[LoadPoint]:
    begin = datetime(2030, 1, 31, tzinfo=UTC)
    return [LoadPoint(begin + timedelta(seconds=10 * at), {"qps": each}) for at, each in enumerate(values)]


async def test_numbers_are_asked_of_the_metrics_service_with_an_admin_token(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    async with (
        a_scheduler(tmp_path, metrics=address) as scheduler,
        AsyncEasel(scheduler.address, scheduler.admin_token) as easel,
        AsyncEasel(scheduler.address, scheduler.join_token) as agent,
    ):
        await scheduler.create(
            {"name": "llm", "metadata": {"instance": 3, "cpu": 1}, "containers": [{"image": "a", "port": 1}]}
        )
        with pytest.raises(Unavailable, match=f"the metrics service at {address} does not answer; see that"):
            await easel.metrics.instant(WANTED)

        async with metrics_at(address, scheduler, tmp_path), an_agent(scheduler):

            async def wanted() -> float:
                try:
                    told = await easel.metrics.instant(WANTED)
                except Unavailable:
                    return 0.0
                return sum(each.value for each in told.values)

            assert await until(wanted, "the number that is wanted") == 3.0
            with pytest.raises(InvalidRequest, match="expected a measure of kind service"):
                await easel.metrics.instant(Selector("qsp"))
            with pytest.raises(PermissionDenied):
                await agent.metrics.instant(WANTED)

            seen = []
            async for told in easel.metrics.watch(WANTED):
                seen += [each.value for each in told.values]
                if len(seen) == 2:
                    break
            assert seen == [3.0, 3.0]
            (series,) = await easel.metrics.range(WANTED, last=timedelta(minutes=1))
            assert {point.value for point in series.points} == {3.0}


async def test_a_watch_ends_with_the_scheduler_and_leaves_nothing_behind(tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 'metrics.sock'}"
    async with (
        a_scheduler(tmp_path, metrics=address) as scheduler,
        metrics_at(address, scheduler, tmp_path),
    ):
        easel = AsyncEasel(scheduler.address, scheduler.admin_token, watch_patience=timedelta())
        watch = easel.metrics.watch(WANTED)
        await anext(watch)
        # Leaving the block stops both while the watch is open; they wait for no watch.
    with pytest.raises(Unavailable):
        while True:
            await anext(watch)
    await easel.close()


async def test_without_an_address_it_is_said_how_to_set_one(tmp_path: Path) -> None:
    async with (
        a_scheduler(tmp_path) as scheduler,
        AsyncEasel(scheduler.address, scheduler.admin_token) as easel,
    ):
        with pytest.raises(FailedPrecondition, match="set EASEL_SCHEDULER_METRICS to its address"):
            await easel.metrics.instant(WANTED)
        with pytest.raises(FailedPrecondition, match="set EASEL_SCHEDULER_METRICS to its address"):
            await anext(easel.metrics.watch(WANTED))
        with pytest.raises(FailedPrecondition, match="set EASEL_SCHEDULER_AUTOSCALER to its address"):
            await easel.autoscalers.replay(curve(1, 2), POLICY)


async def test_a_policy_is_played_by_the_autoscaler(tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 'autoscaler.sock'}"
    async with (
        a_scheduler(tmp_path, autoscaler=address) as scheduler,
        AsyncEasel(scheduler.address, scheduler.admin_token) as easel,
    ):
        settings = AutoscalerSettings(
            scheduler=scheduler.address,
            metrics=f"unix:{tmp_path / 'none.sock'}",
            admin_token=scheduler.admin_token,
            join_token=scheduler.join_token,
            listen=address,
        )
        stop, ready = asyncio.Event(), asyncio.Event()
        running = asyncio.create_task(run_autoscaler(settings, stop, ready))
        await asyncio.wait_for(ready.wait(), 10)

        played = await easel.autoscalers.replay(curve(*[5.0] * 10, *[80.0] * 20), POLICY, instances=1)

        assert played.steps[0].instances == 1 and played.most_instances >= 8
        assert all(step.why for step in played.steps)
        with pytest.raises(InvalidSpec, match=r"autoscaler\.max"):
            await easel.autoscalers.replay(curve(1, 2), {**POLICY, "max": -1})
        stop.set()
        await asyncio.wait_for(running, 10)


async def test_a_service_with_another_join_token_is_said_to_be_so(tmp_path: Path) -> None:
    address = f"127.0.0.1:{free_port()}"
    async with (
        a_scheduler(tmp_path, metrics=address) as scheduler,
        AsyncEasel(scheduler.address, scheduler.admin_token) as easel,
    ):
        scheduler.join_token = "another"
        async with metrics_at(address, scheduler, tmp_path):

            async def refusal() -> str:
                try:
                    await easel.metrics.instant(WANTED)
                except FailedPrecondition as refused:
                    return str(refused)
                except Unavailable:
                    return ""
                return ""

            assert "does not take the join token of this scheduler" in await until(refusal, "the refusal")


async def test_who_has_no_token_gets_nothing(tmp_path: Path) -> None:
    from easel.metrics.v1 import metrics_pb2, metrics_pb2_grpc

    async with a_scheduler(tmp_path) as scheduler, grpc.aio.insecure_channel(scheduler.address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await metrics_pb2_grpc.MetricsServiceStub(channel).Instant(
                metrics_pb2.InstantRequest(), timeout=10
            )

    assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
