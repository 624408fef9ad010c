"""A decision of the autoscaler is stored if what it was made from still holds, and refused otherwise."""

import json
from dataclasses import replace
from typing import Any

import pytest

from libs.domain.errors import Conflict, EaselError, FailedPrecondition, InvalidRequest, NotFound
from libs.domain.records import Service
from libs.domain.scaling import Autoscaler, CronJobState, Cronscaler
from libs.domain.states import EventKind, SafetyLock
from services.scheduler.scaling.apply import Decision, JobRun, applied
from services.scheduler.scaling.history import Cause
from services.scheduler.world import World
from tests.support.builders import NOON, a_ready_instance, a_service, a_world, at

POLICY = json.dumps({"max": 10, "min": 1, "scaleStrategies": [{"metricName": "qps", "threshold": 10}]})
SCHEDULE = json.dumps({"ScaleJobs": [{"Name": "day", "Schedule": "0 0 8 * * *", "TargetSize": 5}]})
BUSY = Cause("horizontal", "qps is 42 for each instance, over 10", "qps", 42.0, 10.0)


def an_autoscaler(**changes: Any) -> Autoscaler:
    return replace(Autoscaler("digits", POLICY, NOON, NOON, revision=4), **changes)


def a_schedule(**changes: Any) -> Cronscaler:
    jobs = (CronJobState("day"),)
    return replace(Cronscaler("digits", SCHEDULE, NOON, NOON, jobs, revision=2), **changes)


def a_decision(**changes: Any) -> Decision:
    return replace(Decision("digits", 5, 1, 4, 0, BUSY), **changes)


def a_scaled_world(*more: Any, **service: Any) -> World:
    return a_world(a_service(**service), an_autoscaler(), *more)


def refused(kind: type[EaselError], world: World, decision: Decision) -> str:
    with pytest.raises(kind) as refusal:
        applied(world, decision, at(1))
    return str(refusal.value)


def test_a_decision_is_stored_with_its_sentence_and_numbers_in_one_commit() -> None:
    changes = applied(a_scaled_world(), a_decision(), at(1))

    (service,), (event,) = changes.put, changes.events
    assert isinstance(service, Service)
    assert service.wanted == 5
    assert (event.reason, event.why) == ("Scaled", BUSY.why)
    assert event.details == {
        "policy": "horizontal",
        "before": "1",
        "after": "5",
        "metric": "qps",
        "value": "42",
        "threshold": "10",
    }


def test_who_changes_a_service_by_hand_is_not_told_that_the_autoscaler_did_so_before() -> None:
    changes = applied(a_scaled_world(edits=3), a_decision(), at(1))

    assert [each.edits for each in changes.put if isinstance(each, Service)] == [3]


def test_a_decision_that_was_made_from_something_older_is_refused() -> None:
    grown = refused(Conflict, a_scaled_world(wanted=3), a_decision())
    other_policy = refused(Conflict, a_scaled_world(), a_decision(autoscaler_revision=3))
    other_schedule = refused(Conflict, a_scaled_world(a_schedule()), a_decision())
    removed = refused(Conflict, a_world(a_service()), a_decision())

    assert grown == "service 'digits' has 3 wanted instances by now, not 1"
    assert other_policy == "the autoscaler of service 'digits' has revision 4 by now, not 3"
    assert other_schedule == "the schedule of service 'digits' has revision 2 by now, not 0"
    assert removed == "the autoscaler of service 'digits' has revision 0 by now, not 4"


def test_a_service_that_may_not_change_is_left_alone() -> None:
    assert "is stopped" in refused(FailedPrecondition, a_scaled_world(stopped=True), a_decision())
    assert "being deleted" in refused(FailedPrecondition, a_scaled_world(deleting=True), a_decision())
    locked = a_scaled_world(safety_lock=SafetyLock.ALL)
    assert "is locked (all)" in refused(FailedPrecondition, locked, a_decision())
    refused(NotFound, a_scaled_world(), a_decision(service="another"))


def test_a_locked_service_that_sleeps_wakes_for_its_callers() -> None:
    world = a_scaled_world(wanted=0, safety_lock=SafetyLock.ALL)
    woken = a_decision(wanted=1, expected_wanted=0, cause=Cause("zero", "1 request waits"))

    changes = applied(world, woken, at(1))

    assert [each.wanted for each in changes.put if isinstance(each, Service)] == [1]
    gone = a_scaled_world(wanted=0, safety_lock=SafetyLock.ALL, deleting=True)
    assert "being deleted" in refused(FailedPrecondition, gone, woken)


def test_a_job_that_finds_its_service_stopped_is_stored_as_failed_and_changes_nothing_else() -> None:
    world = a_scaled_world(a_schedule(), stopped=True, wanted=3)
    timed = Cause("timed", "stays at 0 instances: day is due; the service is stopped")
    run = JobRun("day", 1_000, "Failed", "day is due; the service is stopped")
    # Of a stopped service the facts say that none are wanted.
    decision = a_decision(wanted=0, expected_wanted=0, cronscaler_revision=2, cause=timed, jobs=(run,))

    changes = applied(world, decision, at(1))

    (schedule,), (event,) = changes.put, changes.events
    assert isinstance(schedule, Cronscaler)
    assert [(job.state, job.last_run_ms) for job in schedule.jobs] == [("Failed", 1_000)]
    assert (event.reason, event.kind) == ("ScheduleRan", EventKind.WARNING)
    for other in ({"bounds": (1, 5)}, {"wanted": 5}, {"jobs": (replace(run, state="Succeed"),)}):
        assert "is stopped" in refused(FailedPrecondition, world, replace(decision, **other))
    refused(Conflict, world, replace(decision, cronscaler_revision=1))


def test_a_lock_against_taking_the_service_away_lets_it_sleep() -> None:
    world = a_scaled_world(safety_lock=SafetyLock.DANGEROUS)

    changes = applied(world, a_decision(wanted=0, cause=Cause("zero", "no request for 600 s")), at(1))

    assert [each.wanted for each in changes.put if isinstance(each, Service)] == [0]


@pytest.mark.parametrize(
    "odd",
    [
        {"wanted": 3001},
        {"cause": Cause("user", "by hand")},
        {"cause": Cause("horizontal", "")},
        {"bounds": (5, 3)},
        {"bounds": (0, 0)},
        {"jobs": (JobRun("day", 0, "Done"),)},
        {"jobs": (JobRun("night", 0, "Succeed"),)},
    ],
)
def test_a_decision_that_makes_no_sense_is_refused(odd: dict[str, Any]) -> None:
    refused(InvalidRequest, a_scaled_world(), a_decision(**odd))


def test_those_that_leave_first_are_kept_as_far_as_they_are_there() -> None:
    world = a_scaled_world(a_ready_instance("digits-a"), a_ready_instance("digits-b"), wanted=2)
    decision = a_decision(wanted=1, expected_wanted=2, leave_first=("digits-b", "gone", "digits-a"))

    changes = applied(world, decision, at(1))

    assert [each.leave_first for each in changes.put if isinstance(each, Service)] == [
        ("digits-b", "digits-a")
    ]


def test_the_schedule_moves_bounds_and_keeps_what_became_of_its_jobs() -> None:
    world = a_scaled_world(a_schedule())
    due_ms = 1_700_000_000_000
    decision = a_decision(
        cronscaler_revision=2,
        cause=Cause("timed", "day: 5 instances from now on"),
        bounds=(5, 10),
        jobs=(JobRun("day", due_ms, "Succeed", "from 1 to 5"),),
    )

    changes = applied(world, decision, at(1))

    (policy,) = (each for each in changes.put if isinstance(each, Autoscaler))
    (schedule,) = (each for each in changes.put if isinstance(each, Cronscaler))
    assert (json.loads(policy.policy_json)["min"], policy.updated_at) == (5, NOON)
    assert schedule.jobs == (CronJobState("day", "Succeed", "from 1 to 5", due_ms),)
    assert [event.reason for event in changes.events] == ["Scaled"]


def test_a_run_that_changes_no_size_is_an_event_of_its_own() -> None:
    world = a_scaled_world(a_schedule())
    decision = a_decision(
        wanted=1,
        cronscaler_revision=2,
        cause=Cause("timed", "day was missed"),
        jobs=(JobRun("day", 1, "Missed", "the autoscaler was away"),),
    )

    changes = applied(world, decision, at(1))

    assert [(event.reason, event.kind) for event in changes.events] == [("ScheduleRan", EventKind.WARNING)]
    assert not any(isinstance(each, Service) for each in changes.put)


@pytest.mark.parametrize("stopped", [False, True])
def test_a_schedule_of_every_second_that_changes_nothing_is_an_event_once_a_minute(stopped: bool) -> None:
    world = a_scaled_world(a_schedule(), stopped=stopped, wanted=5)
    told, state = 0, "Failed" if stopped else "Succeed"
    for second in range(180):
        run = JobRun("day", second * 1000, state, "day is due")
        decision = a_decision(
            wanted=5, expected_wanted=5, cronscaler_revision=2, cause=Cause("timed", "day"), jobs=(run,)
        )
        changes = applied(world, decision, at(second))
        world.apply(changes)
        told += len(changes.events)
        assert [job.last_run_ms for job in world.cronscalers["digits"].jobs] == [second * 1000]

    assert told == 3


def test_a_run_that_ends_otherwise_than_the_one_before_is_an_event_at_once() -> None:
    job = CronJobState("day", "Failed", "the service is stopped", 60_000)
    world = a_scaled_world(a_schedule(jobs=(job,)), wanted=5)
    run = JobRun("day", 61_000, "Succeed", "day is due")

    decision = a_decision(
        wanted=5, expected_wanted=5, cronscaler_revision=2, cause=Cause("timed", "day"), jobs=(run,)
    )

    assert [event.reason for event in applied(world, decision, at(1)).events] == ["ScheduleRan"]


def test_bounds_without_an_autoscaler_are_refused() -> None:
    world = a_world(a_service(), a_schedule())
    decision = a_decision(autoscaler_revision=0, cronscaler_revision=2, bounds=(1, 5))

    assert "bounds" in refused(InvalidRequest, world, decision)
