"""The autoscaler beside a scheduler and a metrics service: what it follows, applies, and survives."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from easel.autoscaler.v1 import autoscaler_pb2, autoscaler_pb2_grpc
from easel.facts.v1 import facts_pb2
from easel.metrics.v1 import metrics_pb2
from libs.domain.errors import Conflict, EaselError, FailedPrecondition
from libs.rpc.client import dial
from services.autoscaler.__main__ import run
from services.autoscaler.board import Board
from services.autoscaler.facts import Facts, Subject
from services.autoscaler.loop import Autoscaling
from services.autoscaler.observing import Numbers
from services.autoscaler.policies.model import Decision
from services.autoscaler.settings import Settings
from services.metrics.catalogue import BY_NAME
from tests.support.fake_scaling import FakeScaling, serving_scaling
from tests.support.free_ports import free_port
from tests.support.waiting import until


def a_policy(**more: Any) -> str:
    return json.dumps(
        {
            "min": 1,
            "max": 20,
            "scaleStrategies": [{"metricName": "qps", "threshold": 10}],
            "behavior": {
                "measureSeconds": 1,
                "scaleDown": {"stabilizationWindowSeconds": 0},
                "burst": {"enabled": False},
            },
            **more,
        }
    )


@asynccontextmanager
async def an_autoscaler(address: str, directory: Path, listen: str = "") -> AsyncIterator[str]:
    """Yields where it answers replays; ends it as a supervisor would."""
    settings = Settings(
        scheduler=address,
        metrics=address,
        admin_token="admin",
        join_token="join",
        listen=listen or f"unix:{directory / 'autoscaler.sock'}",
        look_every=timedelta(milliseconds=50),
    )
    stop, ready = asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(run(settings, stop, ready))
    try:
        await until(lambda: ready.is_set() or running.done(), "the autoscaler")
        yield settings.listen
    finally:
        stop.set()
        await running


async def test_load_becomes_a_decision_that_is_applied_with_what_it_was_made_from(tmp_path: Path) -> None:
    fake = FakeScaling()
    fake.tell("chat", 2, a_policy(), autoscaler_revision=7)
    fake.numbers["qps", "chat"] = 65.0

    async with serving_scaling(fake, tmp_path) as address, an_autoscaler(address, tmp_path):
        await until(lambda: fake.wanted("chat") == 7, "seven instances")

    applied = fake.applied[0]
    assert (applied.expected_wanted, applied.autoscaler_revision, applied.policy) == (2, 7, "horizontal")
    assert applied.why == "2 → 7 instances: qps is 32.5 for each instance over 1 s and 10 is its threshold"


async def test_the_emptiest_leave_first(tmp_path: Path) -> None:
    fake = FakeScaling()
    fake.tell("chat", 3, a_policy())
    fake.numbers["qps", "chat"] = 15.0
    fake.connections = {"chat-0": 4, "chat-1": 0, "chat-2": 2}

    async with serving_scaling(fake, tmp_path) as address, an_autoscaler(address, tmp_path):
        await until(lambda: fake.wanted("chat") == 2, "two instances")

    assert list(fake.applied[0].leave_first) == ["chat-1", "chat-2", "chat-0"]


async def test_a_policy_that_is_set_later_has_its_numbers_asked_for(tmp_path: Path) -> None:
    fake = FakeScaling()
    fake.tell("chat", 1)
    fake.numbers["qps", "chat"] = 30.0
    fake.numbers["concurrency", "chat"] = 50.0

    async with serving_scaling(fake, tmp_path) as address, an_autoscaler(address, tmp_path):
        fake.tell("chat", 1, a_policy())
        await until(lambda: fake.wanted("chat") == 3, "three instances")
        assert [each.measure for each in fake.asked[-1].selectors] == ["qps"]

        fake.tell("chat", 3, a_policy(scaleStrategies=[{"metricName": "concurrency", "threshold": 10}]))
        await until(lambda: fake.wanted("chat") == 5, "five instances")


async def test_a_request_that_waits_wakes_without_a_number(tmp_path: Path) -> None:
    fake = FakeScaling()
    fake.tell("chat", 0, a_policy(min=0))

    async with serving_scaling(fake, tmp_path) as address, an_autoscaler(address, tmp_path):
        fake.tell("chat", 0, a_policy(min=0), waiting=1)
        await until(lambda: fake.wanted("chat") == 1, "an instance")

    assert fake.applied[0].policy == "zero"


@pytest.mark.parametrize("refusal", [Conflict("it has another size by now"), FailedPrecondition("not now")])
async def test_a_decision_that_was_overtaken_or_refused_is_made_again(
    tmp_path: Path, refusal: EaselError
) -> None:
    fake = FakeScaling()
    fake.tell("chat", 1, a_policy())
    fake.numbers["qps", "chat"] = 30.0
    fake.refusing = [refusal, refusal]

    async with serving_scaling(fake, tmp_path) as address, an_autoscaler(address, tmp_path):
        await until(lambda: fake.wanted("chat") == 3, "three instances")


async def test_it_survives_the_absence_of_both_and_begins_anew(tmp_path: Path) -> None:
    fake = FakeScaling()
    fake.tell("chat", 1, a_policy())
    fake.numbers["qps", "chat"] = 20.0

    async with an_autoscaler(f"unix:{tmp_path / 'scaling.sock'}", tmp_path):
        async with serving_scaling(fake, tmp_path):
            await until(lambda: fake.wanted("chat") == 2, "two instances")
        fake.numbers["qps", "chat"] = 40.0
        async with serving_scaling(fake, tmp_path):
            await until(lambda: fake.wanted("chat") == 4, "four instances")


async def test_a_schedule_is_carried_out_and_said_once(tmp_path: Path) -> None:
    fake = FakeScaling()
    day_ago = datetime.now(UTC) - timedelta(days=1)
    schedule = json.dumps({"ScaleJobs": [{"Name": "often", "Schedule": "0 * * * * *", "TargetSize": 4}]})
    told: dict[str, Any] = {"cronscaler_json": schedule, "cronscaler_revision": 3}

    async with serving_scaling(fake, tmp_path) as address, an_autoscaler(address, tmp_path):
        fake.tell("chat", 1, cronscaler_updated_at=day_ago, **told)
        await until(lambda: fake.applied, "the job")

    applied = fake.applied[0]
    assert (applied.wanted, applied.policy, applied.cronscaler_revision) == (4, "timed", 3)
    assert [(run.name, run.state) for run in applied.cron_jobs] == [("often", "Succeed")]


async def test_a_replay_says_what_a_policy_would_have_done(tmp_path: Path) -> None:
    request = autoscaler_pb2.ReplayRequest(autoscaler_json=a_policy(), instances=1, start_s=2)
    for second, qps in ((0, 5.0), (60, 80.0), (120, 80.0)):
        request.load.add(values={"qps": qps}).at.FromSeconds(1_800_000_000 + second)

    async with an_autoscaler("unix:/nonexistent", tmp_path) as listen, dial(listen, "join") as channel:
        outcome = await autoscaler_pb2_grpc.ReplayServiceStub(channel).Replay(request, timeout=10)

    assert [step.instances for step in outcome.steps][-1] == 8
    assert outcome.most_instances == 8
    assert outcome.steps[0].why == "begins with 1"


async def test_a_replay_of_a_time_that_no_calendar_has_is_refused(tmp_path: Path) -> None:
    point = autoscaler_pb2.LoadPoint(at=Timestamp(seconds=10**15))

    async with an_autoscaler("unix:/nonexistent", tmp_path) as listen, dial(listen, "join") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await autoscaler_pb2_grpc.ReplayServiceStub(channel).Replay(
                autoscaler_pb2.ReplayRequest(load=[point]), timeout=10
            )

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_replay_of_nothing_is_refused_and_takes_the_join_token(tmp_path: Path) -> None:
    listen = f"127.0.0.1:{free_port()}"

    async with an_autoscaler("unix:/nonexistent", tmp_path, listen), dial(listen, "join") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await autoscaler_pb2_grpc.ReplayServiceStub(channel).Replay(
                autoscaler_pb2.ReplayRequest(), timeout=10
            )
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        async with dial(listen, "another") as stranger:
            with pytest.raises(grpc.aio.AioRpcError) as denied:
                await autoscaler_pb2_grpc.ReplayServiceStub(stranger).Replay(request_of_one(), timeout=10)
        assert denied.value.code() is grpc.StatusCode.UNAUTHENTICATED


def request_of_one() -> autoscaler_pb2.ReplayRequest:
    return autoscaler_pb2.ReplayRequest(load=[autoscaler_pb2.LoadPoint()])


async def test_it_tells_metrics_of_decisions_and_forgets_a_service_without_a_policy(tmp_path: Path) -> None:
    facts, numbers, board = Facts(), Numbers(lambda: 0.0), Board()

    async def taken(subject: Subject, decision: Decision) -> int:
        return decision.wanted

    scaling = Autoscaling(facts, numbers, taken, board, clock=lambda: 1_800_000_000.0)
    facts.take(facts_pb2.WatchResponse(full=True, services=[a_service(a_policy())]))
    numbers.take(a_batch(65.0))
    scaling.look(facts.touched())
    await until(lambda: facts.subjects["chat"].wanted == 7, "the decision to be applied")
    told = {each.name: (each.value, dict(each.labels)) for each in board.samples()}

    assert told["easel_autoscaler_wanted_instances"] == (7, {"service": "chat", "policy": "horizontal"})
    assert told["easel_autoscaler_metric_value"] == (32.5, {"service": "chat", "metric": "qps"})
    assert told["easel_autoscaler_metric_missing"] == (0, {"service": "chat", "metric": "qps"})
    assert counted(board) == {("horizontal", "up"): 1, ("horizontal", "down"): 0}
    assert set(told) <= set(BY_NAME)

    facts.take(facts_pb2.WatchResponse(services=[a_service("")]))
    scaling.look(facts.touched())
    assert not [each for each in board.samples() if each.labels]


def counted(board: Board) -> dict[tuple[str, str], float]:
    return {
        (each.labels["policy"], each.labels["direction"]): each.value
        for each in board.samples()
        if each.name == "easel_autoscaler_decisions"
    }


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (a_policy(), {"horizontal"}),
        (a_policy(behavior={}), {"horizontal", "burst"}),
        (a_policy(min=0), {"horizontal", "zero"}),
    ],
)
async def test_each_policy_that_may_decide_has_decided_0_times_before_the_first_decision(
    policy: str, words: set[str]
) -> None:
    facts, board = Facts(), Board()

    async def taken(subject: Subject, decision: Decision) -> int:
        return decision.wanted

    scaling = Autoscaling(facts, Numbers(lambda: 0.0), taken, board, clock=lambda: 1_800_000_000.0)
    facts.take(facts_pb2.WatchResponse(full=True, services=[a_service(policy)]))
    scaling.look(facts.touched())

    assert counted(board) == {(word, direction): 0 for word in words for direction in ("up", "down")}


async def test_a_service_that_is_gone_is_forgotten_though_the_scheduler_has_left_too() -> None:
    facts, board = Facts(), Board()

    async def taken(subject: Subject, decision: Decision) -> int:
        return decision.wanted

    scaling = Autoscaling(facts, Numbers(lambda: 0.0), taken, board, clock=lambda: 1_800_000_000.0)
    facts.take(facts_pb2.WatchResponse(full=True, services=[a_service(a_policy())]))
    scaling.look(facts.touched())
    facts.take(facts_pb2.WatchResponse(removed_services=["chat"]))
    facts.connected = False

    scaling.look(facts.touched())

    assert not [each for each in board.samples() if each.labels]


async def test_a_decision_that_breaks_is_not_made_again_at_once() -> None:
    facts, board, tried = Facts(), Board(), []

    async def broken(subject: Subject, decision: Decision) -> int:
        tried.append(decision)
        raise ValueError("this cannot be told")

    scaling = Autoscaling(facts, Numbers(lambda: 0.0), broken, board, clock=lambda: 1_800_000_000.0)
    facts.take(facts_pb2.WatchResponse(full=True, services=[a_service(a_policy(min=5))]))
    scaling.look(facts.touched())
    await until(lambda: bool(facts.touched()), "the decision to be over")

    scaling.look(["chat"])

    assert len(tried) == 1
    await asyncio.sleep(0)
    assert len(tried) == 1


def a_service(policy: str) -> facts_pb2.ServiceFacts:
    ready = [facts_pb2.InstanceFacts(id=f"chat-{number}", ready=True) for number in range(2)]
    return facts_pb2.ServiceFacts(name="chat", wanted=2, instances=ready, autoscaler_json=policy)


def a_batch(qps: float) -> metrics_pb2.InstantResponse:
    value = metrics_pb2.Value(measure="qps", kind="service", subject="chat", window_s=1, value=qps)
    return metrics_pb2.InstantResponse(values=[value])
