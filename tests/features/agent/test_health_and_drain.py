"""What an agent does about checks, restarts that are asked for, isolation and requests in flight."""

import os
import signal
import sys
from pathlib import Path

import httpx

from easel.agent.v1 import agent_pb2 as pb
from easel.common.v1 import common_pb2 as common
from tests.features.agent.conftest import ROOT, AgentProcess
from tests.support.fake_scheduler_link import FakeScheduler
from tests.support.in_flight import in_flight
from tests.support.waiting import until

MODEL = f"exec {sys.executable} {ROOT}/tests/support/toy_model.py"
QUICK = {"initial_delay_seconds": 0, "period_seconds": 1}
HTTP = {"http_get": {"path": "/health"}, **QUICK}


def file_of(agent: AgentProcess, name: str, instance: str = "i-1") -> Path:
    """A file in the working directory of the program."""
    return agent.directory / "instances" / instance / "work" / name


async def answer_of(report: pb.InstanceReport) -> str:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(f"http://{report.address}:{report.port}/")).text


async def test_a_readiness_check_decides_about_traffic_and_says_the_answer(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    agent.start()
    scheduler.assign("i-1", MODEL, readiness_check={**HTTP, "failure_threshold": 2})
    before = await scheduler.sees_ready("i-1")

    file_of(agent, "sick").touch()
    report = await scheduler.sees("i-1", lambda r: not r.ready, "to be taken out")
    file_of(agent, "sick").unlink()
    after = await scheduler.sees_ready("i-1")

    assert report.why == 'readiness_check: GET /health answered 503 "model not loaded" (2 times in a row)'
    assert report.cause == "ReadinessProbeFailed"
    assert report.state == common.INSTANCE_STATE_RUNNING
    assert (after.restarts, after.started_at, after.why) == (0, before.started_at, "")


async def test_an_instance_whose_readiness_check_never_passes_never_takes_traffic(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    agent.start()
    check = {"exec": {"command": ["sh", "-c", "echo $EASEL_INSTANCE is not warm; exit 4"]}, **QUICK}
    scheduler.assign("i-1", MODEL, readiness_check={**check, "failure_threshold": 1})

    report = await scheduler.sees("i-1", lambda r: bool(r.cause), "to be explained")

    assert report.why.endswith('ended with 4 "i-1 is not warm"')
    assert report.why.startswith("readiness_check: `sh -c ")
    assert not any(each.ready for each in scheduler.history)


async def test_a_failed_liveness_check_restarts_the_program_and_counts_as_a_crash(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    agent.start()
    check = {"exec": {"command": ["test", "!", "-e", "sick"]}, **QUICK, "failure_threshold": 1}
    scheduler.assign("i-1", f"rm -f sick; {MODEL}", liveness_check=check)
    before = await scheduler.sees_ready("i-1")

    file_of(agent, "sick").touch()

    after = await scheduler.sees("i-1", lambda r: r.ready and r.restarts == 1, "to be restarted")
    assert await answer_of(after) != ""
    assert after.started_at != before.started_at
    said = [each for each in scheduler.history if each.cause == "LivenessProbeFailed"]
    assert said[0].why == "liveness_check: `test '!' -e sick` ended with 1"
    assert not any(each.ready for each in said)


async def test_a_program_that_takes_its_time_to_end_after_its_first_failed_check_is_in_no_back_off(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    agent.start()
    check = {"exec": {"command": ["test", "!", "-e", "sick"]}, **QUICK, "failure_threshold": 1}
    lingering = "rm -f sick end; trap 'while ! [ -e end ]; do sleep 0.1; done; exit 0' TERM"
    metadata = {"rpc": {"enable_sigterm": True}}
    scheduler.assign("i-1", f"{lingering}; {{ {MODEL}; }} & wait", liveness_check=check, metadata=metadata)
    await scheduler.sees_ready("i-1")

    file_of(agent, "sick").touch()
    ending = await scheduler.sees("i-1", lambda r: "being started anew" in r.why, "to be ended")
    file_of(agent, "end").touch()

    await scheduler.sees("i-1", lambda r: r.ready and r.restarts == 1, "to be restarted")
    assert ending.why == "liveness_check: `test '!' -e sick` ended with 1; being started anew"
    assert ending.cause == "LivenessProbeFailed"
    assert not ending.ready
    states = {each.state for each in scheduler.history}
    assert common.INSTANCE_STATE_CRASH_LOOP_BACK_OFF not in states


async def test_a_startup_check_that_never_passes_is_a_crash_with_its_reason(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    agent.start()
    check = {"tcp_socket": {"port": 1}, **QUICK, "failure_threshold": 1}

    scheduler.assign("i-1", MODEL, startup_check=check)

    report = await scheduler.sees("i-1", lambda r: "restart 2" in r.why, "to loop")
    assert report.why == "startup_check: port 1 takes no connections; restarting in 10 s (restart 2)"
    assert report.cause == "StartupProbeFailed"
    assert not any(each.ready for each in scheduler.history)


async def test_a_program_without_a_sign_of_life_has_stalled(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    agent.start(start_stalled_after="0.5")

    scheduler.assign("i-1", "exec sleep 600")

    report = await scheduler.sees("i-1", lambda r: r.cause == "StartStalled", "to have stalled")
    assert "listens on no port and showed no sign of life" in report.why


async def test_a_killed_agent_takes_nobody_out_of_traffic(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    agent.start()
    slow = {**HTTP, "success_threshold": 3}
    scheduler.assign("i-1", MODEL, readiness_check=slow)
    before = await scheduler.sees_ready("i-1")

    agent.kill()
    scheduler.history.clear()
    agent.start()

    await until(lambda: len(scheduler.hellos) == 2 and scheduler.history, "the new agent")
    await until(lambda: len(scheduler.heartbeats) > 3, "a while to pass")
    assert all(report.ready for report in scheduler.history)
    assert scheduler.history[0].ready_at == before.ready_at


async def test_a_stop_waits_for_the_requests_in_flight(scheduler: FakeScheduler, agent: AgentProcess) -> None:
    agent.start()
    scheduler.assign("i-1", MODEL, drain_ms=60_000)
    report = await scheduler.sees_ready("i-1")

    async with in_flight(report) as lines:
        scheduler.ask_to_stop("i-1")
        draining = await scheduler.sees("i-1", lambda r: r.connections == 1, "to wait for one connection")
        assert draining.state == common.INSTANCE_STATE_TERMINATING
        assert draining.why.endswith("waiting for its connections to end, for up to 60 s")
        file_of(agent, "release").touch()
        assert await anext(lines) == "last"

    await scheduler.sees("i-1", lambda r: r.gone, "to be gone")


async def test_a_drain_ends_with_its_time(scheduler: FakeScheduler, agent: AgentProcess) -> None:
    agent.start()
    scheduler.assign("i-1", MODEL, drain_ms=300)
    report = await scheduler.sees_ready("i-1")

    async with in_flight(report):
        scheduler.ask_to_stop("i-1")

        await scheduler.sees("i-1", lambda r: r.gone, "to be gone")


async def test_a_killed_agent_goes_on_with_the_drain(scheduler: FakeScheduler, agent: AgentProcess) -> None:
    agent.start()
    scheduler.assign("i-1", MODEL, drain_ms=60_000)
    report = await scheduler.sees_ready("i-1")

    async with in_flight(report) as lines:
        scheduler.ask_to_stop("i-1")
        await scheduler.sees("i-1", lambda r: r.connections == 1, "to wait for one connection")
        agent.kill()
        scheduler.reports.clear()
        agent.start()
        await scheduler.sees("i-1", lambda r: r.connections == 1, "to wait again")
        file_of(agent, "release").touch()
        assert await anext(lines) == "last"

    await scheduler.sees("i-1", lambda r: r.gone, "to be gone")


async def test_what_is_not_assigned_any_more_may_finish_as_well(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    agent.start()
    scheduler.assign("i-1", MODEL)
    report = await scheduler.sees_ready("i-1")

    async with in_flight(report) as lines:
        scheduler.forget("i-1")
        await scheduler.sees("i-1", lambda r: r.connections == 1, "to wait for one connection")
        file_of(agent, "release").touch()
        assert await anext(lines) == "last"

    await scheduler.sees("i-1", lambda r: r.gone, "to be gone")


async def test_a_soft_restart_lets_requests_finish_and_keeps_the_files(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    agent.start()
    scheduler.assign("i-1", MODEL, drain_ms=60_000)
    before = await scheduler.sees_ready("i-1")
    file_of(agent, "note").touch()

    async with in_flight(before) as lines:
        scheduler.assignments["i-1"].run = 1
        scheduler.say_desired()
        waiting = await scheduler.sees("i-1", lambda r: r.connections == 1, "to wait for one connection")
        file_of(agent, "release").touch()
        assert await anext(lines) == "last"

    after = await scheduler.sees("i-1", lambda r: r.ready and r.run == 1, "to run anew")
    assert (waiting.run, waiting.ready, waiting.state) == (0, False, common.INSTANCE_STATE_STARTING)
    assert (after.restarts, after.port) == (0, before.port)
    assert after.started_at != before.started_at
    assert file_of(agent, "note").exists()


async def test_a_soft_restart_starts_what_waits_after_crashes_at_once(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    agent.start()
    scheduler.assign("i-1", f"test -e mended || exit 3; {MODEL}")
    await scheduler.sees("i-1", lambda r: "restarting in 10 s" in r.why, "to wait")
    file_of(agent, "mended").touch()

    scheduler.assignments["i-1"].run = 1
    scheduler.say_desired()

    report = await scheduler.sees("i-1", lambda r: r.ready, "to run", within=8.0)
    assert (report.run, report.restarts) == (1, 1)


async def test_an_isolated_instance_is_left_as_it_ends_and_goes_on_when_it_is_back(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    agent.start()
    scheduler.assign("i-1", MODEL)
    report = await scheduler.sees_ready("i-1")
    program = int(await answer_of(report))
    scheduler.assignments["i-1"].isolated = True
    scheduler.assignments["i-1"].epoch = 2
    scheduler.say_desired()
    await scheduler.sees("i-1", lambda r: r.epoch == 2, "to be isolated")

    os.kill(program, signal.SIGKILL)
    left = await scheduler.sees("i-1", lambda r: r.state == common.INSTANCE_STATE_FAILED, "to be left")
    scheduler.assignments["i-1"].isolated = False
    scheduler.say_desired()

    after = await scheduler.sees("i-1", lambda r: r.ready and r.restarts == 1, "to be restarted")
    assert left.why == "killed by signal 9 (SIGKILL); left as it ended while it is isolated"
    assert left.cause == "KilledBySignal"
    assert int(await answer_of(after)) != program


async def test_an_isolated_instance_is_not_ended_by_its_liveness_check(
    scheduler: FakeScheduler, agent: AgentProcess
) -> None:
    agent.start()
    check = {"exec": {"command": ["test", "!", "-e", "sick"]}, **QUICK, "failure_threshold": 1}
    scheduler.assign("i-1", f"rm -f sick; {MODEL}", liveness_check=check, isolated=True)
    before = await scheduler.sees_ready("i-1")
    program = await answer_of(before)

    file_of(agent, "sick").touch()
    report = await scheduler.sees("i-1", lambda r: bool(r.cause), "to be explained")

    assert (report.cause, report.restarts) == ("LivenessProbeFailed", 0)
    assert await answer_of(report) == program
    scheduler.assignments["i-1"].isolated = False
    scheduler.say_desired()
    await scheduler.sees("i-1", lambda r: r.ready and r.restarts == 1, "to be restarted")
