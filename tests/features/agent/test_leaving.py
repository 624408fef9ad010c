"""How long a start took, that the node is about to go, and instances that leave patiently."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from easel.agent.v1 import agent_pb2 as pb
from tests.features.agent.conftest import ROOT, AgentProcess
from tests.support.fake_scheduler_link import FakeScheduler
from tests.support.in_flight import in_flight
from tests.support.waiting import until

MODEL = f"exec {sys.executable} {ROOT}/tests/support/toy_model.py"
AN_HOUR = 3_600_000


async def test_the_phases_of_a_start_are_told_with_the_first_word_that_it_is_ready(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    agent.start()
    scheduler.assign("i-1", f"sleep 0.3; {MODEL}")

    report = await scheduler.sees_ready("i-1")

    phases = {each.name: each.seconds for each in report.phases}
    assert list(phases)[-1] == "starting"
    assert 0.3 <= phases["starting"] < 20
    assert not any(each.phases for each in scheduler.history if not each.ready)


async def test_phases_are_those_of_the_present_run_and_outlive_the_agent(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    agent.start()
    scheduler.assign("i-1", f"test -e slow && sleep 0.3; touch slow; {MODEL}")
    await scheduler.sees_ready("i-1")
    scheduler.assignments["i-1"].run = 1
    scheduler.say_desired()
    second = await scheduler.sees("i-1", lambda r: r.ready and r.run == 1, "to run anew")
    agent.kill()
    scheduler.reports.clear()

    agent.start()

    after = await scheduler.sees_ready("i-1")
    assert {each.name: each.seconds for each in second.phases}["starting"] >= 0.3
    assert list(after.phases) == list(second.phases)


async def test_a_file_announces_that_the_node_is_taken_away(
    scheduler: FakeScheduler, agent: AgentProcess, tmp_path: Path
) -> None:
    file = tmp_path / "reclaim"
    agent.start(reclaim_file=str(file), heartbeat_every="3600")
    await until(lambda: scheduler.hellos, "the agent")

    def newest() -> pb.Inventory | None:
        return scheduler.heartbeats[-1].inventory if scheduler.heartbeats else None

    draft = tmp_path / "draft"
    draft.write_text("600 spot price rose\n")
    draft.replace(file)
    told = await until(newest, "a heartbeat")
    file.unlink()
    await until(lambda: len(scheduler.heartbeats) > 1, "another one")

    assert told is not None
    assert told.reclaim_why == "spot price rose"
    left = told.reclaim_at.ToDatetime(UTC) - datetime.now(UTC)
    assert timedelta(minutes=9) < left < timedelta(minutes=11)
    stays = newest()
    assert stays is not None
    assert not stays.HasField("reclaim_at")


async def test_who_leaves_patiently_can_be_told_to_hurry(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    agent.start()
    scheduler.assign("i-1", MODEL, drain_ms=AN_HOUR)
    report = await scheduler.sees_ready("i-1")

    async with in_flight(report):
        scheduler.ask_to_stop("i-1")
        waiting = await scheduler.sees("i-1", lambda r: r.connections == 1, "to wait")
        assert waiting.why.endswith("for up to 3600 s")
        scheduler.assignments["i-1"].drain_ms = 0
        scheduler.say_desired()

        await scheduler.sees("i-1", lambda r: r.gone, "to be gone")


async def test_who_leaves_patiently_is_not_cut_by_a_restart_of_the_agent_and_can_hurry_then(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    agent.start()
    scheduler.assign("i-1", MODEL, drain_ms=AN_HOUR)
    report = await scheduler.sees_ready("i-1")

    async with in_flight(report) as lines:
        scheduler.ask_to_stop("i-1")
        await scheduler.sees("i-1", lambda r: r.connections == 1, "to wait")
        agent.kill()
        scheduler.reports.clear()
        agent.start()
        await scheduler.sees("i-1", lambda r: r.connections == 1, "to wait again")
        scheduler.assignments["i-1"].drain_ms = 60_000
        scheduler.say_desired()
        await scheduler.sees("i-1", lambda r: "for up to 60 s" in r.why, "to hurry")
        (agent.directory / "instances" / "i-1" / "work" / "release").touch()
        assert await anext(lines) == "last"

    await scheduler.sees("i-1", lambda r: r.gone, "to be gone")


async def test_who_leaves_patiently_and_is_forgotten_has_its_grace_period(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    agent.start()
    grace = {"rpc": {"enable_sigterm": True}, "eas": {"termination_grace_period": 1}}
    scheduler.assign("i-1", MODEL, drain_ms=AN_HOUR, metadata=grace)
    report = await scheduler.sees_ready("i-1")

    async with in_flight(report):
        scheduler.ask_to_stop("i-1")
        await scheduler.sees("i-1", lambda r: r.connections == 1, "to wait")
        scheduler.forget("i-1")

        await scheduler.sees("i-1", lambda r: r.gone, "to be gone")
