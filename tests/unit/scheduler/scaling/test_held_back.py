"""Jobs of a schedule that are due while their service is locked against every change."""

import json
from dataclasses import replace

import pytest

from libs.db.changes import Changes
from libs.domain.errors import FailedPrecondition
from libs.domain.scaling import CronJobState, Cronscaler
from libs.domain.states import SafetyLock
from services.scheduler.ledger import Ledger
from services.scheduler.scaling.apply import Decision, JobRun
from services.scheduler.scaling.held_back import carry_out
from services.scheduler.scaling.history import Cause
from services.scheduler.world import World
from tests.support.builders import NOON, a_service
from tests.support.memory_store import MemoryStore

SCHEDULE = json.dumps({"ScaleJobs": [{"Name": "day", "Schedule": "* * * * * *", "TargetSize": 5}]})
WHY = (
    "it is due: service 'digits' is locked (all): its size cannot be changed; "
    "unlock it with `easel lock digits none`"
)


async def a_locked_ledger(**service: object) -> Ledger:
    store = MemoryStore()
    locked = replace(a_service(), safety_lock=SafetyLock.ALL, revision=0)
    schedule = Cronscaler("digits", SCHEDULE, NOON, NOON, (CronJobState("day", "Succeed", "", 1),))
    await store.commit(Changes(put=(replace(locked, **service), schedule)))  # type: ignore[arg-type]
    return Ledger(store, World(await store.load()))


def job(ledger: Ledger) -> CronJobState:
    return ledger.world.cronscalers["digits"].jobs[0]


async def tried(ledger: Ledger, due_ms: int, wanted: int = 5, state: str = "Succeed") -> None:
    """The decision of one look: each second another time of the job is the newest that is due."""
    revision = ledger.world.cronscalers["digits"].revision
    run = JobRun("day", due_ms, state, f"day is due at {due_ms}")
    decision = Decision("digits", wanted, 1, 0, revision, Cause("timed", run.message), jobs=(run,))
    await carry_out(ledger, decision, lambda: NOON)


async def test_a_job_that_a_lock_holds_back_says_so_in_one_write_and_runs_once_it_is_unlocked() -> None:
    ledger = await a_locked_ledger()

    for second in range(2, 10):
        with pytest.raises(FailedPrecondition, match=r"is locked \(all\)"):
            await tried(ledger, second)

    assert job(ledger) == CronJobState("day", "Submitted", WHY, 1)
    assert ledger.commits.times == 1
    unlocked = replace(ledger.world.services["digits"], safety_lock=SafetyLock.NONE)
    await ledger.change(lambda _: Changes(put=(unlocked,)))
    await tried(ledger, 10)
    assert job(ledger) == CronJobState("day", "Succeed", "day is due at 10", 10)
    assert ledger.world.services["digits"].wanted == 5


@pytest.mark.parametrize("state", ["Skipped", "Missed", "Succeed"])
async def test_what_became_of_a_job_that_changes_nothing_is_stored_in_spite_of_the_lock(state: str) -> None:
    ledger = await a_locked_ledger()

    await tried(ledger, 2, wanted=1, state=state)

    assert job(ledger) == CronJobState("day", state, "day is due at 2", 2)


async def test_a_service_that_is_being_deleted_or_told_of_an_older_schedule_stores_nothing() -> None:
    deleted = await a_locked_ledger(deleting=True)
    with pytest.raises(FailedPrecondition, match="being deleted"):
        await tried(deleted, 2)
    assert job(deleted).state == "Succeed"

    ledger = await a_locked_ledger()
    old = Decision("digits", 5, 1, 0, 7, Cause("timed", "day"), jobs=(JobRun("day", 2, "Succeed"),))
    with pytest.raises(FailedPrecondition, match=r"is locked \(all\)"):
        await carry_out(ledger, old, lambda: NOON)
    assert job(ledger).state == "Succeed"
