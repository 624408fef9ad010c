"""What a metrics process tells of more than the last hour."""

import time
from pathlib import Path

import grpc
import pytest

from easel.metrics.v1 import metrics_pb2 as pb
from easel.metrics.v1 import metrics_pb2_grpc as rpc
from libs.rpc.client import dial
from libs.rpc.server import Service, serving
from services.metrics.history import History, Minute
from tests.support.free_ports import free_port
from tests.support.metrics_harness import TOKEN, Metrics, ScriptedFacts, metrics_process
from tests.support.waiting import until

QPS = pb.Selector(measure="qps", kind="service", subjects=["llm"])


async def test_what_services_were_hours_ago_is_told_by_a_process_that_started_since(tmp_path: Path) -> None:
    newest = int(time.time()) // 60
    before = History(tmp_path / "history.sqlite", 24 * 60)
    before.begin()
    for ago in (300, 200, 100):
        before.write(Minute(newest - ago, {"llm": {"qps": float(ago)}}), there=None)

    address = f"127.0.0.1:{free_port()}"
    async with (
        serving([Service("easel.facts.v1.FactsService", ScriptedFacts().register)], address),
        metrics_process(tmp_path, address) as metrics,
    ):
        found = await until(lambda: told(metrics, QPS, 6 * 3600, 60), "what was kept")
        thousandths = await told(metrics, pb.Selector(measure="qps1k", kind="service"), 6 * 3600, 60)
        few = await told(metrics, QPS, 4 * 3600, 60)
        means = await told(metrics, QPS, 6 * 3600, 6 * 3600)
        refused = await refusal(metrics, pb.Selector(measure="cpu", kind="node"))

    assert found == {(newest - ago) * 60: float(ago) for ago in (300, 200, 100)}
    assert thousandths == {at: 1000 * value for at, value in found.items()}
    assert list(few.values()) == [200.0, 100.0]
    # Whole steps alone: none ends after now.
    assert all(at % (6 * 3600) == 0 and at <= newest * 60 for at in means)
    assert refused.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.details() == "last_s: got 21600, expected 1 to 3600 seconds"


async def told(metrics: Metrics, selector: pb.Selector, last_s: int, step_s: int) -> dict[int, float]:
    """The points of the one series, by second."""
    async with dial(metrics.address, TOKEN) as channel:
        request = pb.RangeRequest(selector=selector, last_s=last_s, step_s=step_s)
        answer = await rpc.MetricsServiceStub(channel).Range(request, timeout=10)
    return {point.at.seconds: point.value for each in answer.series for point in each.points}


async def refusal(metrics: Metrics, selector: pb.Selector) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await told(metrics, selector, 6 * 3600, 60)
    return refused.value
