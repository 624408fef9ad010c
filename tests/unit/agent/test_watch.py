"""Watching one run of an instance, with a runtime that says what the test wants said."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from libs.domain.causes import Cause
from services.agent.drain import Waiting, drained
from services.agent.health.remembered import Readiness, Remembered
from services.agent.health.verdict import Health
from services.agent.health.watch import Means, WarmUp, WarmUpTold, Watch
from services.agent.runtime.port import Activity, Attempt, Finding, Running, WarmUpFailed
from services.agent.runtime.process_runtime import ProcessRuntime, ProcessSettings
from services.agent.runtime.venvs import Venvs
from services.agent.workload import Workload
from tests.support.waiting import until

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
RUNNING = Running("i-1", "digits", 1, 1, "h", Attempt(), "127.0.0.1", 20000, NOON)
WORKLOAD = Workload("i-1", "digits", 1, 1, "h", port=8000, warm_up_path="/mnt/warm.txt")


class Scripted(ProcessRuntime):
    """Says of an instance what `listens` and `open_connections` are."""

    def __init__(self, directory: Path) -> None:
        super().__init__(ProcessSettings(directory, "127.0.0.1", range(0)), Venvs(directory, "", {}))
        self.listens = True
        self.open_connections: list[int | None] = []
        self.works, self.done = False, 0

    async def listening(self, running: Running) -> bool:
        return self.listens

    async def connections(self, running: Running) -> int | None:
        return self.open_connections.pop(0) if len(self.open_connections) > 1 else self.open_connections[0]

    async def activity(self, running: Running) -> Activity | None:
        self.done += 100 if self.works else 0
        return Activity(self.done)


@pytest.fixture
def runtime(tmp_path: Path) -> Scripted:
    return Scripted(tmp_path)


@asynccontextmanager
async def watched(
    runtime: Scripted, warm_up: WarmUp | None = None, before: Readiness | None = None, patience: float = 600
) -> AsyncIterator[list[Health]]:
    told: list[Health] = []
    means = Means(runtime, warm_up, timedelta(seconds=patience))
    task = asyncio.create_task(Watch(RUNNING, WORKLOAD, means, told.append, before).run())
    try:
        yield told
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_an_instance_is_ready_only_after_its_warm_up(runtime: Scripted) -> None:
    warm = asyncio.Event()

    async def warm_up(workload: Workload, running: Running, told: WarmUpTold) -> None:
        told.doing("warming up")
        await warm.wait()

    async with watched(runtime, warm_up) as told:
        await until(lambda: told[-1:] == [Health(warming_up=True, doing="warming up")], "the warm-up")
        assert not any(health.ready for health in told)
        warm.set()
        await until(lambda: told[-1].ready, "readiness")


async def test_an_answer_that_may_yet_be_forgiven_is_told_while_the_warm_up_goes_on(
    runtime: Scripted,
) -> None:
    forgiven, warm = asyncio.Event(), asyncio.Event()

    async def warm_up(workload: Workload, running: Running, told: WarmUpTold) -> None:
        told.doing("warming up")
        told.failing("line 1 was answered with 500")
        await forgiven.wait()
        told.failing("")
        await warm.wait()

    async with watched(runtime, warm_up) as told:
        finding = Finding(Cause.WARM_UP_FAILED, "line 1 was answered with 500; the warm-up goes on")
        failing = Health(warming_up=True, finding=finding, doing="warming up")
        await until(lambda: told[-1:] == [failing], "the answer told")
        forgiven.set()
        await until(lambda: told[-1:] == [Health(warming_up=True, doing="warming up")], "it forgiven")
        warm.set()
        await until(lambda: told[-1].ready, "readiness")


async def test_a_failed_warm_up_keeps_out_of_traffic_and_says_why(runtime: Scripted) -> None:
    async def warm_up(workload: Workload, running: Running, told: WarmUpTold) -> None:
        raise WarmUpFailed("line 1 was answered with 500")

    async with watched(runtime, warm_up) as told:
        await until(lambda: told and told[-1].finding, "the failure")

    finding = told[-1].finding
    assert finding is not None
    assert finding.cause is Cause.WARM_UP_FAILED
    assert finding.why == "line 1 was answered with 500; trying again in 10 s"
    assert not any(health.ready for health in told)


@pytest.mark.parametrize("ready", [True, False])
async def test_a_run_is_warmed_up_once(runtime: Scripted, ready: bool) -> None:
    warmed: list[str] = []

    async def warm_up(workload: Workload, running: Running, told: WarmUpTold) -> None:
        warmed.append(workload.id)

    async with watched(runtime, warm_up, Readiness(NOON, NOON, ready)) as told:
        await until(lambda: told and told[-1].ready, "readiness")

    assert warmed == []


async def test_a_start_without_a_sign_of_life_stalls(runtime: Scripted) -> None:
    runtime.listens = False

    async with watched(runtime, patience=0.1) as told:
        await until(lambda: told[-1:] and told[-1].condemned, "the stall")

    assert told[-1].finding is not None
    assert told[-1].finding.cause is Cause.START_STALLED


async def test_a_start_that_works_may_take_as_long_as_it_likes(runtime: Scripted) -> None:
    runtime.listens, runtime.works = False, True

    async with watched(runtime, patience=0.1) as told:
        await until(lambda: runtime.done > 2_000, "twenty looks")

    assert not any(health.condemned for health in told)


def test_what_merely_waits_shows_no_sign_of_life() -> None:
    assert not Activity(1_003, "up").moved_since(Activity(1_000, "up"))
    assert Activity(1_050, "up").moved_since(Activity(1_000, "up"))
    assert Activity(1_000, "more").moved_since(Activity(1_000, "up"))


def test_two_looks_in_a_row_must_find_nobody() -> None:
    assert not Waiting().after(0).over
    assert not Waiting().after(0).after(1).after(0).over
    assert Waiting().after(3).after(0).after(0).over


async def test_a_drain_waits_for_the_last_connection(runtime: Scripted) -> None:
    runtime.open_connections = [2, 1, 0, 1, 0, 0]
    told: list[int] = []

    await drained(RUNNING, runtime, timedelta(minutes=1), timedelta(0), told.append)

    assert runtime.open_connections == [0]
    assert (told[0], told[-1]) == (2, 0)


async def test_a_drain_that_loses_sight_for_a_moment_goes_on(runtime: Scripted) -> None:
    runtime.open_connections = [1, None, None, 1, 0, 0]

    await drained(RUNNING, runtime, timedelta(minutes=1), timedelta(seconds=20), lambda _: None)

    assert runtime.open_connections == [0]


async def test_a_drain_without_sight_waits_as_long_as_a_request_may_take(runtime: Scripted) -> None:
    runtime.open_connections = [None]

    await drained(RUNNING, runtime, timedelta(hours=1), timedelta(seconds=0.01), lambda _: None)


def test_which_runs_were_ready_is_known_to_the_next_agent(tmp_path: Path) -> None:
    known = Readiness(NOON, NOON + timedelta(seconds=3), True)
    Remembered(tmp_path).keep("i-1", known)

    again = Remembered(tmp_path)

    assert again.of_run("i-1", NOON) == known
    assert again.of_run("i-1", NOON + timedelta(1)) is None
    again.forget("i-1")
    assert Remembered(tmp_path).ready_at() == {}


def test_a_broken_note_is_no_note(tmp_path: Path) -> None:
    (tmp_path / "i-1.json").write_text("{")

    assert Remembered(tmp_path).ready_at() == {}
