"""What an agent tells metrics, and what programs post to it."""

import json
import sys

import pytest

from tests.features.agent.conftest import ROOT, AgentProcess
from tests.support.fake_metrics import FakeMetrics, taking
from tests.support.fake_scheduler_link import FakeScheduler
from tests.support.free_ports import free_port
from tests.support.in_flight import in_flight
from tests.support.waiting import until

MODEL = f"exec {sys.executable} {ROOT}/tests/support/toy_model.py"
POST = """exec python3 -c '
import os, time, urllib.error, urllib.request
while True:
    made = urllib.request.Request(os.environ["EASEL_METRICS_URL"], os.environ["BODY"].encode(), method="POST")
    try:
        print(urllib.request.urlopen(made).read().decode(), flush=True)
    except urllib.error.HTTPError as refused:
        print(refused.code, refused.read().decode(), flush=True)
    except OSError as away:
        print("away", away, flush=True)
    time.sleep(0.3)
'"""
DECLARED = [{"name": "tokens", "tags": "model"}]


@pytest.fixture
def metrics() -> FakeMetrics:
    return FakeMetrics()


async def test_an_agent_tells_what_its_node_and_instances_use(
    scheduler: FakeScheduler, agent: AgentProcess, metrics: FakeMetrics
) -> None:
    async with taking(metrics) as port:
        agent.start(metrics=f"127.0.0.1:{port}")
        scheduler.assign("i-1", MODEL)
        report = await scheduler.sees_ready("i-1")

        async with in_flight(report):
            await until(
                lambda: (use := metrics.use_of("i-1")) is not None and use.connections == 1, "its use"
            )
        await until(lambda: "agent" in metrics.components, "the numbers of the agent itself")

    use, node = metrics.use_of("i-1"), metrics.nodes[-1].use
    assert use is not None
    assert (use.service, use.restarts) == ("digits", 0)
    assert use.cpu_seconds > 0
    assert use.memory_bytes > 1 << 20
    assert node.cpu_seconds > use.cpu_seconds
    assert 0 < node.memory_used_bytes < node.memory_total_bytes
    assert 0 < node.disk_used_bytes < node.disk_total_bytes
    assert (metrics.nodes[-1].node, metrics.tokens) == ("n1", {"Bearer let-me-in"})


async def test_an_agent_goes_on_while_metrics_is_away_and_tells_it_when_it_is_back(
    scheduler: FakeScheduler, agent: AgentProcess, metrics: FakeMetrics
) -> None:
    port = free_port()
    agent.start(metrics=f"127.0.0.1:{port}")
    scheduler.assign("i-1", MODEL)
    await scheduler.sees_ready("i-1")

    async with taking(metrics, port):
        await until(lambda: metrics.use_of("i-1"), "the first report")
    again = FakeMetrics()
    async with taking(again, port):
        await until(lambda: again.use_of("i-1"), "a report to the one that came after it")

    assert agent.said().count("metrics is away") <= 1


async def test_what_a_program_posts_is_told(
    scheduler: FakeScheduler, agent: AgentProcess, metrics: FakeMetrics
) -> None:
    async with taking(metrics) as port:
        agent.start(metrics=f"127.0.0.1:{port}")
        body = [{"name": "tokens", "tags": {"model": "a"}, "value": 5.5}, {"name": "tokens", "value": 1}]
        scheduler.assign("i-1", POST, env=[{"name": "BODY", "value": json.dumps(body)}], metrics=DECLARED)

        await until(lambda: len(metrics.posted()) >= 2, "the values")

    assert ("i-1", "tokens", {"model": "a"}, 5.5) in metrics.posted()
    assert ("i-1", "tokens", {}, 1.0) in metrics.posted()


async def test_what_a_program_posts_is_taken_by_an_agent_that_was_restarted(
    scheduler: FakeScheduler, agent: AgentProcess, metrics: FakeMetrics
) -> None:
    async with taking(metrics) as port:
        agent.start(metrics=f"127.0.0.1:{port}")
        body = [{"name": "tokens", "value": 1}]
        scheduler.assign("i-1", POST, env=[{"name": "BODY", "value": json.dumps(body)}], metrics=DECLARED)
        await until(metrics.posted, "the value")
        agent.kill()
        metrics.nodes.clear()

        agent.start(metrics=f"127.0.0.1:{port}")

        await until(metrics.posted, "the value again")


async def test_a_metric_that_was_not_declared_is_refused_with_what_was(
    scheduler: FakeScheduler, agent: AgentProcess, metrics: FakeMetrics
) -> None:
    async with taking(metrics) as port:
        agent.start(metrics=f"127.0.0.1:{port}")
        body = [{"name": "tokens", "value": 1}, {"name": "cost", "value": 1}]
        scheduler.assign("i-1", POST, env=[{"name": "BODY", "value": json.dumps(body)}], metrics=DECLARED)

        await scheduler.sees("i-1", lambda r: r.HasField("started_at"), "to run")

        async def refusal() -> str:
            said = await scheduler.log_of("i-1")
            return said if "400" in said else ""

        said = await until(refusal, "a refusal")

    assert '[1].name: got \\"cost\\", expected one of metrics in service.json: tokens' in said
    assert metrics.posted() == []
