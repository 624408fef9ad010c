"""Agents and gateways show metrics the token that they joined the scheduler with, whichever that is."""

from pathlib import Path
from typing import Any

import grpc

from easel.admin.v1 import admin_pb2
from easel.envoy.v1 import envoy_metrics_pb2
from easel.metrics.v1 import metrics_pb2
from easel.metrics.v1 import metrics_pb2_grpc as rpc
from libs.rpc.client import dial
from tests.support.metrics_harness import TOKEN, Metrics, metrics_process, stream_metrics
from tests.support.scheduler_harness import RunningScheduler, a_scheduler
from tests.support.waiting import until


async def test_every_join_token_opens_metrics_until_it_is_deleted(tmp_path: Path) -> None:
    # The token of metrics itself is that of the scheduler's file.
    (tmp_path / "join.token").write_text(TOKEN)
    async with a_scheduler(tmp_path) as scheduler:
        admin = await made(scheduler, "operator", "admin")
        further = await made(scheduler, "gpu-host", "join")
        async with metrics_process(tmp_path / "metrics", scheduler.address) as metrics:
            await until(lambda: opens(metrics, further.secret), "the token to be told")
            assert await opens(metrics, TOKEN)
            assert not await opens(metrics, admin.secret)
            assert not await opens(metrics, "another")

            later = await made(scheduler, "edge-host", "join")
            await until(lambda: opens(metrics, later.secret), "a token that is made meanwhile")
            request = admin_pb2.DeleteTokenRequest(id=further.token.id)
            await scheduler.tokens.DeleteToken(request, timeout=10)
            await until(lambda: is_refused(metrics, further.secret), "the deleted token to be refused")
            assert await opens(metrics, later.secret)


async def test_a_scheduler_that_is_away_takes_no_token_along(tmp_path: Path) -> None:
    (tmp_path / "join.token").write_text(TOKEN)
    async with a_scheduler(tmp_path) as scheduler:
        further = await made(scheduler, "gpu-host", "join")
        metrics = Metrics(tmp_path / "metrics", scheduler.address)
        await metrics.start()
        await until(lambda: opens(metrics, further.secret), "the token to be told")
    try:
        assert await opens(metrics, further.secret)
    finally:
        await metrics.stop()


async def made(scheduler: RunningScheduler, name: str, role: str) -> admin_pb2.CreateTokenResponse:
    request = admin_pb2.CreateTokenRequest(name=name, role=role)
    return await scheduler.tokens.CreateToken(request, timeout=10)


async def opens(metrics: Metrics, token: str) -> bool:
    """Whether a part, a question and an Envoy are all let in."""
    return await let_in(metrics, token) == {True}


async def is_refused(metrics: Metrics, token: str) -> bool:
    return await let_in(metrics, token) == {False}


async def let_in(metrics: Metrics, token: str) -> set[bool]:
    asked = metrics_pb2.InstantRequest(selectors=[metrics_pb2.Selector(measure="qps", kind="service")])
    async with dial(metrics.address, token) as channel:
        envoy = stream_metrics(channel)
        report = rpc.TelemetryServiceStub(channel).Report
        question = rpc.MetricsServiceStub(channel).Instant
        return {
            await passes(envoy(iter([envoy_metrics_pb2.StreamMetricsMessage()]), timeout=10)),
            await passes(report(iter([metrics_pb2.ReportRequest()]), timeout=10)),
            await passes(question(asked, timeout=10)),
        }


async def passes(call: Any) -> bool:
    return await call.code() is grpc.StatusCode.OK
