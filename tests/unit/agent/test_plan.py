"""What a node does next, from what is wanted, what runs and what went wrong."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.domain.causes import Cause
from libs.domain.states import InstanceState
from services.agent.backing_off import LONGEST_DELAY, back_off
from services.agent.observed import Busy, Failing, Observed, Trouble, Wanted
from services.agent.plan import HEALTHY_AFTER, plan_node
from services.agent.runtime.port import Attempt, Exit, Finding, Running
from services.agent.steps import Plan
from services.agent.workload import Workload

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def wanted(instance: str = "i-1", spec_hash: str = "h", **changes: object) -> Wanted:
    workload = Workload(id=instance, service="digits", version=1, epoch=1, spec_hash=spec_hash)
    return Wanted(instance, 1, workload=replace(workload, **changes), spec_hash=spec_hash)


def running(instance: str = "i-1", **changes: object) -> Running:
    base = Running(instance, "digits", 1, 1, "h", Attempt(), "127.0.0.1", 20000, NOON)
    return replace(base, **changes)


def ended(after: timedelta, why: str = "exited with code 3", **changes: object) -> Running:
    changes.setdefault("instance", "i-1")
    return running(exit=Exit(why, NOON + after, 3), **changes)


def planned(*, want: list[Wanted], run: list[Running], now: timedelta = timedelta(0), **rest: object) -> Plan:
    seen = Observed({w.id: w for w in want}, {r.id: r for r in run}, **rest)
    return plan_node(seen, NOON + now)


def test_what_is_assigned_and_absent_is_started() -> None:
    plan = planned(want=[wanted()], run=[])

    assert [(step.workload.id, step.attempt) for step in plan.start] == [("i-1", Attempt())]
    assert plan.why == "start i-1: assigned to this node"


def test_what_runs_as_assigned_is_kept_whatever_its_epoch() -> None:
    plan = planned(want=[wanted(epoch=9)], run=[running(epoch=3)])

    assert [step.running.id for step in plan.keep] == ["i-1"]
    assert plan.why == ""


def test_what_runs_as_assigned_goes_on_when_the_node_could_not_start_it_any_more() -> None:
    refused = Wanted("i-1", 4, refusal="there is no secret hf/token", spec_hash="h")

    going_on, changed = planned(want=[refused], run=[running()]), replace(refused, spec_hash="new")

    assert ([(step.running.id, step.epoch) for step in going_on.leave], going_on.stop) == ([("i-1", 4)], ())
    assert [step.id for step in planned(want=[changed], run=[running()]).stop] == ["i-1"]
    assert [step.id for step in planned(want=[replace(refused, stop=True)], run=[running()]).stop] == ["i-1"]


def test_what_is_being_ended_is_not_shown_as_going_on_when_it_could_not_be_started_any_more() -> None:
    refused = Wanted("i-1", 4, refusal="there is no secret hf/token", spec_hash="h")

    plan = planned(want=[refused], run=[running()], busy={"i-1": Busy(stopping=False, spec_hash="h")})

    assert plan == Plan()


def test_what_nobody_assigned_is_stopped() -> None:
    plan = planned(want=[], run=[running()])

    assert [(step.id, step.why) for step in plan.stop] == [("i-1", "no longer assigned to this node")]


def test_an_assignment_that_changed_stops_the_old_run_first() -> None:
    plan = planned(want=[wanted(spec_hash="new")], run=[running()])

    assert [step.why for step in plan.stop] == ["its assignment changed"]
    assert plan.start == ()


def test_a_stop_keeps_the_grace_period_the_instance_was_started_with() -> None:
    asked = replace(wanted(), stop=True)

    plan = planned(want=[asked], run=[running(grace=timedelta(seconds=7), sigterm=False)])

    assert [(step.grace, step.sigterm) for step in plan.stop] == [(timedelta(seconds=7), False)]


def test_a_stop_of_what_is_not_here_is_answered_with_gone() -> None:
    assert planned(want=[replace(wanted(), stop=True)], run=[]).gone == ("i-1",)


def test_the_first_crash_is_restarted_at_once() -> None:
    plan = planned(want=[wanted()], run=[ended(timedelta(seconds=5))], now=timedelta(seconds=5))

    assert [(step.attempt, step.why) for step in plan.start] == [
        (Attempt(restarts=1, streak=1), "exited with code 3; restart 1")
    ]


def test_a_second_crash_waits_and_says_so() -> None:
    crashed = ended(timedelta(seconds=5), attempt=Attempt(restarts=1, streak=1))

    plan = planned(want=[wanted()], run=[crashed], now=timedelta(seconds=6))

    (hold,) = plan.hold
    assert hold.state is InstanceState.CRASH_LOOP_BACK_OFF
    assert hold.why == "exited with code 3; restarting in 10 s (restart 2)"
    assert plan.next_due() == NOON + timedelta(seconds=15)


def test_after_a_clock_that_was_set_back_nothing_waits_for_the_hour_of_its_crash() -> None:
    crashed = ended(timedelta(hours=1), attempt=Attempt(restarts=1, streak=1))
    trouble = Trouble(NOON, "denied", InstanceState.IMAGE_PULL_BACK_OFF, "h", streak=1)

    again = planned(want=[wanted()], run=[crashed])
    failed = planned(want=[wanted()], run=[crashed], troubles={"i-1": trouble}, now=timedelta(seconds=1))

    assert [step.attempt.restarts for step in again.start] == [2]
    assert [(hold.why, hold.until) for hold in failed.hold] == [
        ("denied; trying again in 10 s", NOON + timedelta(seconds=10))
    ]


def test_a_crash_after_ten_healthy_minutes_counts_as_the_first() -> None:
    crashed = ended(HEALTHY_AFTER, attempt=Attempt(restarts=5, streak=5))

    plan = planned(want=[wanted()], run=[crashed], now=HEALTHY_AFTER, ready_at={"i-1": NOON})

    assert [step.attempt for step in plan.start] == [Attempt(restarts=6, streak=1)]


def test_minutes_in_which_it_only_started_are_no_healthy_ones() -> None:
    crashed = ended(HEALTHY_AFTER, attempt=Attempt(restarts=5, streak=5))

    for ready_at in ({}, {"i-1": NOON + timedelta(minutes=1)}, {"i-1": NOON - timedelta(days=1)}):
        plan = planned(want=[wanted()], run=[crashed], now=HEALTHY_AFTER, ready_at=ready_at)

        assert [hold.why for hold in plan.hold] == ["exited with code 3; restarting in 160 s (restart 6)"]


def test_a_failed_check_ends_the_program_and_counts_as_a_crash_that_says_why() -> None:
    failing = {"i-1": Failing(NOON, Finding(Cause.LIVENESS_PROBE_FAILED, "liveness_check: no answer"))}
    before = {"attempt": Attempt(restarts=1, streak=1)}

    (step,) = planned(want=[wanted()], run=[running(**before)], failing=failing).end
    (hold,) = planned(want=[wanted()], run=[ended(timedelta(0), **before)], failing=failing).hold

    assert (step.why, step.cause) == ("liveness_check: no answer", Cause.LIVENESS_PROBE_FAILED)
    assert step.backs_off
    assert hold.why == "liveness_check: no answer; restarting in 10 s (restart 2)"
    assert (hold.cause, hold.last_exit) == (Cause.LIVENESS_PROBE_FAILED, "exited with code 3")


@pytest.mark.parametrize(("streak", "ready_for"), [(0, timedelta(0)), (4, HEALTHY_AFTER)])
def test_a_program_that_is_started_anew_at_once_after_a_failed_check_does_not_back_off(
    streak: int, ready_for: timedelta
) -> None:
    failing = {"i-1": Failing(NOON, Finding(Cause.LIVENESS_PROBE_FAILED, "liveness_check: no answer"))}
    sick = running(attempt=Attempt(streak, streak))

    (step,) = planned(want=[wanted()], run=[sick], now=ready_for, failing=failing, ready_at={"i-1": NOON}).end

    assert (step.why, step.backs_off) == ("liveness_check: no answer; being started anew", False)


def test_a_failed_check_of_an_earlier_run_is_forgotten() -> None:
    failing = {"i-1": Failing(NOON, Finding(Cause.LIVENESS_PROBE_FAILED, "no answer"))}

    plan = planned(want=[wanted()], run=[running(started_at=NOON + timedelta(1))], failing=failing)

    assert (len(plan.keep), plan.end) == (1, ())


@pytest.mark.parametrize("kept", [{"isolated": True}, {"crash_block": True}])
def test_what_is_to_be_kept_as_it_is_runs_on_when_its_checks_fail(kept: dict[str, bool]) -> None:
    failing = {"i-1": Failing(NOON, Finding(Cause.LIVENESS_PROBE_FAILED, "no answer"))}

    plan = planned(want=[wanted(**kept)], run=[running()], failing=failing)

    assert (len(plan.keep), plan.end) == (1, ())


def test_an_isolated_instance_that_ends_is_left_as_it_ended_until_it_is_back() -> None:
    crashed = ended(timedelta(0))

    (hold,) = planned(want=[wanted(isolated=True)], run=[crashed], now=timedelta(hours=1)).hold
    (start,) = planned(want=[wanted()], run=[crashed], now=timedelta(hours=1)).start

    assert (hold.state, hold.until) == (InstanceState.FAILED, None)
    assert hold.why == "exited with code 3; left as it ended while it is isolated"
    assert start.why == "exited with code 3; restart 1"


def test_a_soft_restart_ends_the_program_after_its_connections_and_starts_it_at_once() -> None:
    asked = replace(wanted(run=2), drain=timedelta(seconds=9))
    old = {"run": 1, "attempt": Attempt(restarts=4, streak=4)}

    (end,) = planned(want=[asked], run=[running(**old)]).end
    (start,) = planned(want=[asked], run=[ended(timedelta(0), **old)]).start

    assert (end.drain, end.cause) == (timedelta(seconds=9), None)
    assert (start.attempt, start.why) == (Attempt(restarts=4), "its owner asked for a restart")
    assert len(planned(want=[asked], run=[running(run=2)]).keep) == 1


@pytest.mark.parametrize("kept", [{"isolated": True}, {"crash_block": True}])
def test_a_soft_restart_also_starts_what_was_left_as_it_ended(kept: dict[str, bool]) -> None:
    plan = planned(want=[wanted(run=1, **kept)], run=[ended(timedelta(0))])

    assert [step.why for step in plan.start] == ["its owner asked for a restart"]


def test_a_soft_restart_does_not_wait_for_the_trouble_before_it() -> None:
    trouble = Trouble(NOON, "denied", InstanceState.IMAGE_PULL_BACK_OFF, "h", streak=9)

    assert planned(want=[wanted(run=1)], run=[], troubles={"i-1": trouble}).start != ()
    assert planned(want=[wanted()], run=[], troubles={"i-1": trouble}).start == ()


def test_what_is_stopped_waits_for_its_connections_as_long_as_it_was_told() -> None:
    told = replace(wanted(), stop=True, drain=timedelta(seconds=7))
    run = [running(grace=timedelta(seconds=40))]

    assert [step.drain for step in planned(want=[told], run=run).stop] == [timedelta(seconds=7)]
    assert [step.drain for step in planned(want=[], run=run).stop] == [timedelta(seconds=40)]


def test_with_crash_block_a_crashed_instance_is_left_as_it_ended() -> None:
    plan = planned(want=[wanted(crash_block=True)], run=[ended(timedelta(0))], now=timedelta(hours=1))

    (hold,) = plan.hold
    assert (hold.state, hold.until) == (InstanceState.FAILED, None)
    assert "runtime.enable_crash_block" in hold.why


def test_an_image_that_cannot_be_pulled_is_tried_again_later() -> None:
    trouble = Trouble(NOON, "denied", InstanceState.IMAGE_PULL_BACK_OFF, "h", streak=2)

    plan = planned(want=[wanted()], run=[], troubles={"i-1": trouble}, now=timedelta(seconds=1))

    (hold,) = plan.hold
    assert (hold.state, hold.why) == (InstanceState.IMAGE_PULL_BACK_OFF, "denied; trying again in 20 s")


def test_trouble_with_an_older_assignment_is_forgotten() -> None:
    trouble = Trouble(NOON, "denied", InstanceState.IMAGE_PULL_BACK_OFF, "old", streak=9)

    assert planned(want=[wanted()], run=[], troubles={"i-1": trouble}).start != ()


def test_what_this_node_cannot_run_is_failed_with_the_reason() -> None:
    refused = Wanted("i-1", 1, refusal="no directory for bucket 'x'", spec_hash="h")

    (hold,) = planned(want=[refused], run=[]).hold

    assert (hold.state, hold.why, hold.until) == (InstanceState.FAILED, "no directory for bucket 'x'", None)


def test_an_instance_that_is_being_stopped_is_left_alone() -> None:
    plan = planned(want=[wanted()], run=[running()], busy={"i-1": Busy(stopping=True)})

    assert plan == Plan()


def test_a_slow_start_is_given_up_when_it_is_no_longer_wanted() -> None:
    starting = Busy(stopping=False, spec_hash="h")

    assert [step.id for step in planned(want=[], run=[], busy={"i-1": starting}).stop] == ["i-1"]
    assert planned(want=[wanted()], run=[], busy={"i-1": starting}) == Plan()


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 0), (1, 0), (2, 10), (3, 20), (6, 160), (7, 300), (500, 300)]
)
def test_back_off_doubles_up_to_five_minutes(failures: int, seconds: int) -> None:
    assert back_off(failures) == timedelta(seconds=seconds)


@given(
    st.sets(st.integers(0, 5)),
    st.sets(st.integers(0, 5)),
    st.sets(st.integers(0, 5)),
    st.integers(0, 10_000),
)
def test_every_instance_gets_at_most_one_step(
    want: set[int], run: set[int], crashed: set[int], seconds: int
) -> None:
    runs = [
        running(f"i-{n}") if n not in crashed else ended(timedelta(seconds=n), instance=f"i-{n}") for n in run
    ]
    plan = planned(want=[wanted(f"i-{n}") for n in want], run=runs, now=timedelta(seconds=seconds))

    touched = [s.id for s in plan.stop] + [s.workload.id for s in plan.start] + [h.id for h in plan.hold]
    touched += [keep.running.id for keep in plan.keep]
    assert sorted(touched) == sorted({f"i-{n}" for n in want | run})
    due = plan.next_due()
    assert due is None or timedelta(0) < due - (NOON + timedelta(seconds=seconds)) <= LONGEST_DELAY


def test_what_waits_for_its_connections_can_be_told_to_hurry() -> None:
    patient = Busy(stopping=True, drain=timedelta(hours=1))
    hurried = replace(wanted(), stop=True, drain=timedelta(seconds=5))

    plan = planned(want=[hurried], run=[running()], busy={"i-1": patient})

    assert [(step.id, step.drain) for step in plan.stop] == [("i-1", timedelta(seconds=5))]


def test_what_waits_for_its_connections_is_not_made_to_wait_longer() -> None:
    stopping = Busy(stopping=True, drain=timedelta(seconds=5))
    patient = replace(wanted(), stop=True, drain=timedelta(hours=1))

    assert planned(want=[patient], run=[running()], busy={"i-1": stopping}).stop == ()


def test_what_waits_patiently_and_is_not_assigned_any_more_has_its_grace_period() -> None:
    patient = Busy(stopping=True, drain=timedelta(hours=1))

    plan = planned(want=[], run=[running(grace=timedelta(seconds=7))], busy={"i-1": patient})

    assert [(step.id, step.drain) for step in plan.stop] == [("i-1", timedelta(seconds=7))]
