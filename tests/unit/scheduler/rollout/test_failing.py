"""What fails holds an update up, and is taken back where that was asked for; the old version serves on."""

from datetime import timedelta
from typing import Any

from libs.domain.records import Instance
from libs.domain.states import InstanceState, RolloutPhase
from services.scheduler.rollout.plan import ServicePlan
from tests.support.builders import a_node, a_ready_instance, at
from tests.unit.scheduler.rollout.situations import (
    a_rollout,
    coming_back,
    crashing,
    created,
    news,
    olds,
    planned,
    removed,
    starting,
    updated,
)


def phase(plan: ServicePlan) -> tuple[RolloutPhase, str]:
    assert plan.rollout is not None
    return plan.rollout.phase, plan.rollout.why


def test_a_new_version_that_fails_leaves_the_old_one_serving_and_says_why() -> None:
    plan = updated([*olds(3), crashing()], wanted=3, surge=3)

    assert (created(plan), removed(plan)) == ([], [])
    assert phase(plan) == (RolloutPhase.FAILED, "new-x: exited with code 1")


def test_no_serving_old_instance_leaves_while_a_new_one_fails() -> None:
    plan = updated([*olds(3), *news(2), crashing()], wanted=3, surge=3)

    assert removed(plan) == []


def test_what_is_lost_of_the_old_ones_meanwhile_is_replaced_at_the_last_good_version() -> None:
    plan = updated([*olds(2), crashing()], wanted=3)

    assert created(plan) == [1]


def test_a_version_that_never_worked_is_not_made_again_for_one_that_fails() -> None:
    plan = updated([crashing()], wanted=2, service={"stable_version": 0})

    assert created(plan) == [2]


def test_an_update_goes_on_when_the_trouble_has_ended_by_itself() -> None:
    failed = a_rollout(phase=RolloutPhase.FAILED, why="new-x: exited with code 1")

    plan = updated([*olds(1), *news(1, restarts=2)], wanted=1, rollout=failed)

    assert removed(plan) == ["old-0"]
    assert phase(plan)[0] is RolloutPhase.RUNNING


def test_what_failed_and_tries_again_has_not_recovered_before_it_is_ready() -> None:
    failed = a_rollout(phase=RolloutPhase.FAILED, why="new-x: exited with code 1")
    again = crashing(state=InstanceState.STARTING, why="starting")

    plan = updated([*olds(2), again], wanted=2, surge=2, rollout=failed)

    assert (created(plan), phase(plan)) == ([], (RolloutPhase.FAILED, "new-x: exited with code 1"))


def test_a_new_instance_that_is_not_ready_for_long_and_has_a_cause_fails_the_update() -> None:
    slow = starting(cause="ReadinessProbeFailed", why="GET /health answered 500")

    early, late = (updated([*olds(1), slow], wanted=1, now=at(s)) for s in (600, 601))

    assert phase(early)[0] is RolloutPhase.RUNNING
    assert phase(late) == (
        RolloutPhase.FAILED,
        "new-s: not ready after 10 minutes: GET /health answered 500",
    )


def test_a_new_instance_that_only_takes_long_is_waited_for() -> None:
    assert phase(updated([*olds(1), starting()], wanted=1, now=at(7200)))[0] is RolloutPhase.RUNNING


def test_how_long_is_waited_for_a_known_trouble_is_the_services_own_affair() -> None:
    failing = starting(cause="ReadinessProbeFailed", why="answered 500")
    instances = [*olds(1), failing]

    def after(seconds: float) -> tuple[RolloutPhase, str]:
        deadline = timedelta(seconds=90)
        return phase(updated(instances, wanted=1, now=at(seconds), progress_deadline=deadline))

    assert after(90)[0] is RolloutPhase.RUNNING
    assert after(91) == (RolloutPhase.FAILED, "new-s: not ready after 90 s: answered 500")


def test_an_update_that_waits_for_a_known_trouble_names_it_by_one_instance_at_a_time() -> None:
    trouble = {"cause": "ReadinessProbeFailed", "why": "readiness_check: answered 500"}
    instances = [starting("new-b", **trouble), starting("new-a", **trouble), starting("new-0")]

    assert phase(updated([*olds(1), *instances], wanted=1, surge=3)) == (
        RolloutPhase.RUNNING,
        "version 2 replaces version 1; new-a is not ready: readiness_check: answered 500",
    )


def test_an_update_that_went_back_by_itself_says_why_also_when_it_is_done() -> None:
    because = "version 2 failed: new-x: exited with code 3"
    back = a_rollout(version=1, from_version=2, because=because)

    done = planned(olds(1), service={"version": 1, "stable_version": 1}, rollout=back).rollout

    assert done is not None
    assert (done.phase, done.because) == (RolloutPhase.COMPLETED, because)
    assert done.why == f"every instance runs version 1 again, because {because}"


def test_an_isolated_instance_that_crashed_holds_nothing_up() -> None:
    plan = updated([*olds(2), crashing(isolated=True)], wanted=2, surge=2)

    assert phase(plan)[0] is RolloutPhase.RUNNING


def test_a_later_update_takes_out_the_failed_version_at_once() -> None:
    failed = crashing("failed", version=2)
    service = {"version": 3, "stable_version": 1}

    plan = planned([*olds(1), failed], service=service, rollout=a_rollout(version=3))

    assert (removed(plan), created(plan)) == (["failed"], [3])


def test_a_roll_back_takes_out_the_failed_version_at_once_and_is_done() -> None:
    back = a_rollout(version=1, from_version=2)

    plan = planned([*olds(1), crashing()], service={"version": 1, "stable_version": 1}, rollout=back)

    assert removed(plan) == ["new-x"]


def test_the_last_good_version_is_made_again_although_some_of_it_fail() -> None:
    back = a_rollout(version=1, from_version=2)
    instances = [crashing("bad", version=1), *news(1)]

    plan = planned(instances, service={"wanted": 3, "version": 1, "stable_version": 1}, rollout=back)

    assert (created(plan), removed(plan)) == ([1], [])


def moved(*there: Instance, **fields: Any) -> ServicePlan:
    nodes = {"n1": a_node("n1", draining=True), "n2": a_node("n2")}
    here = [a_ready_instance(f"here-{n}", node="n1") for n in range(2)]
    return planned([*here, *there], service={"wanted": 2}, nodes=nodes, **fields)


def test_a_move_is_held_up_only_by_a_successor_that_never_was_ready() -> None:
    never = crashing("there", version=1, node="n2")
    once = crashing("there", version=1, node="n2", ready_at=at(0))

    assert created(moved(never, surge=2)) == []
    assert created(moved(once, surge=2)) == [1]
    assert moved(never).why == "there: exited with code 1"


def test_a_failing_version_is_taken_back_where_that_was_asked_for() -> None:
    plan = updated([*olds(1), crashing()], wanted=1, auto_rollback=True)

    assert (plan.back_to, plan.why) == (
        1,
        "version 2 failed: new-x: exited with code 1",
    )


def test_going_back_is_never_taken_back() -> None:
    back = a_rollout(version=1, from_version=2)
    instances = [crashing("bad", version=1), *news(1)]

    plan = planned(instances, service={"version": 1}, rollout=back, auto_rollback=True)

    assert plan.back_to == 0


def test_nothing_goes_back_to_a_version_that_never_worked() -> None:
    never = [crashing("old", version=1)]

    plan = updated([*never, crashing()], wanted=1, auto_rollback=True, service={"stable_version": 0})

    assert plan.back_to == 0


def test_an_old_instance_that_is_coming_back_stays_while_the_new_version_fails() -> None:
    assert removed(updated([coming_back("old"), crashing()], wanted=1)) == []
