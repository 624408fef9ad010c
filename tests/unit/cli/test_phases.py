"""When a deployment is there, when it has failed, and when to go on waiting."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from cli.live import phase_line, reached
from cli.phases import Goal, Outcome, Said, Wanted, moves, outcome, readiness, standing, too_large
from easel_sdk.types import (
    Instance,
    InstanceState,
    Node,
    NodeState,
    Progress,
    Resources,
    Rollout,
    RolloutPhase,
    RolloutPlan,
    Service,
    ServiceState,
)

NOW = datetime(2030, 1, 1, tzinfo=UTC)
READY = Wanted(Goal.READY, version=1)
NO_STAGES = RolloutPlan()


def a_service(
    state: ServiceState = ServiceState.RUNNING, ready: int = 1, wanted: int = 1, why: str = ""
) -> Service:
    return Service(
        name="echo",
        id="svc-1",
        state=state,
        why=why,
        version=1,
        running_version=1 if ready else 0,
        wanted=wanted,
        ready=ready,
        pending=wanted - ready,
        total=wanted,
        resource_group="public",
        endpoint="",
        labels={},
        created_at=NOW,
        updated_at=NOW,
        revision=1,
        pending_reasons=(),
        spec={},
    )


def an_instance(
    state: InstanceState = InstanceState.RUNNING, ready: bool = True, version: int = 1
) -> Instance:
    return Instance(
        id="echo-1",
        service="echo",
        version=version,
        state=state,
        why="",
        ready=ready,
        node="n1",
        address="",
        port=0,
        restarts=0,
        last_exit="",
        gpu_uuids=(),
        resources=Resources(),
        runtime=None,
        epoch=1,
        created_at=NOW,
        started_at=None,
        ready_at=None,
    )


def a_node(name: str, cpus: int) -> Node:
    return Node(
        name=name,
        resource_group="public",
        state=NodeState.READY,
        schedulable=True,
        why="",
        address="",
        zone="",
        runtime=None,
        capacity=Resources(cpus * 1000, 4096),
        allocated=Resources(),
        gpus=(),
        gpu_note="",
        labels={},
        instances=0,
        agent_version="",
        last_seen=None,
    )


def test_a_running_service_with_all_instances_ready_is_there() -> None:
    assert outcome(a_service(why="1 of 1 ready"), [an_instance()], READY, 1.0) == Outcome(
        True, "1 of 1 ready"
    )


def test_too_few_ready_instances_are_waited_for() -> None:
    assert outcome(a_service(ready=1, wanted=2), [an_instance()], READY, 1.0) is None


def test_ready_instances_of_the_version_before_do_not_count() -> None:
    wanted = replace(READY, version=2)
    service = replace(a_service(), version=2, running_version=2)

    assert outcome(service, [an_instance(version=1)], wanted, 1.0) is None
    assert outcome(service, [an_instance(version=2)], wanted, 1.0) == Outcome(True, "")


def test_after_a_restart_only_new_instances_count() -> None:
    wanted = replace(READY, since=NOW + timedelta(seconds=1))
    young = replace(an_instance(), created_at=NOW + timedelta(seconds=2))

    assert outcome(a_service(), [an_instance()], wanted, 1.0) is None
    assert outcome(a_service(), [young], wanted, 1.0) == Outcome(True, "")


def test_a_new_service_that_failed_is_not_waited_for() -> None:
    failed = a_service(ServiceState.FAILED, ready=0, why="image pull failed")

    assert outcome(failed, [], READY, 0.0) == Outcome(False, "image pull failed")


def test_the_failure_of_before_a_change_gets_a_moment_to_go() -> None:
    failed = a_service(ServiceState.FAILED, ready=0, why="as before")
    wanted = replace(READY, changed=True)

    assert outcome(failed, [], wanted, 0.5) is None
    assert outcome(failed, [], wanted, 5.0) == Outcome(False, "as before")


def test_an_instance_of_the_new_version_that_keeps_crashing_ends_the_wait() -> None:
    looping = replace(
        an_instance(InstanceState.CRASH_LOOP_BACK_OFF, ready=False), restarts=3, why="exited with code 1"
    )

    ended = outcome(a_service(ServiceState.UPDATING, ready=0), [looping], READY, 1.0)

    assert ended == Outcome(False, "echo-1: exited with code 1")


def test_a_first_crash_is_not_the_end() -> None:
    crashed = replace(an_instance(InstanceState.CRASH_LOOP_BACK_OFF, ready=False), restarts=1)

    assert outcome(a_service(ServiceState.CREATING, ready=0), [crashed], READY, 1.0) is None


def a_rollout(phase: RolloutPhase, plan: RolloutPlan = NO_STAGES, why: str = "") -> Rollout:
    finished = NOW if phase in (RolloutPhase.COMPLETED, RolloutPhase.FAILED) else None
    return Rollout(2, 1, phase, why, plan, updated=1, wanted=2, started_at=NOW, finished_at=finished)


def an_update(phase: RolloutPhase, plan: RolloutPlan = NO_STAGES, why: str = "", ready: int = 2) -> Service:
    service = a_service(ServiceState.UPDATING, ready=ready, wanted=2)
    return replace(service, version=2, rollout=a_rollout(phase, plan, why))


TO_2 = Wanted(Goal.READY, version=2, changed=True)


def test_an_update_that_failed_ends_the_wait_with_its_reason() -> None:
    failed = an_update(RolloutPhase.FAILED, why="echo-2 does not become ready")

    assert outcome(failed, [], TO_2, 0.0) == Outcome(False, "echo-2 does not become ready")
    assert outcome(failed, [], replace(TO_2, released=True), 0.1) is None


def test_an_update_that_went_back_by_itself_ends_the_wait() -> None:
    back = replace(a_service(), rollout=replace(a_rollout(RolloutPhase.RUNNING, why="2 crashed"), version=1))

    assert outcome(back, [an_instance()], TO_2, 5.0) == Outcome(
        False, "version 1 is in force by now: 2 crashed"
    )


def test_why_an_update_went_back_by_itself_is_said_rather_than_where_the_way_back_is() -> None:
    way_back = replace(a_rollout(RolloutPhase.RUNNING, why="1 of 2 updated"), because="echo-2: it crashed")

    assert outcome(replace(a_service(), rollout=way_back), [], TO_2, 5.0) == Outcome(
        False, "version 1 is in force by now: echo-2: it crashed"
    )


@pytest.mark.parametrize(
    "plan", [RolloutPlan(partition="1"), RolloutPlan(batch_size="1"), RolloutPlan(paused=True)]
)
def test_an_update_that_its_plan_holds_up_is_there_once_enough_is_ready(plan: RolloutPlan) -> None:
    paused = an_update(RolloutPhase.PAUSED, plan, "1 stays")

    assert outcome(paused, [], TO_2, 0.1) == Outcome(True, "1 stays")
    assert outcome(an_update(RolloutPhase.PAUSED, plan, ready=1), [], TO_2, 0.1) is None


@pytest.mark.parametrize("plan", [RolloutPlan(), RolloutPlan(batch_size="1", interval=timedelta(minutes=1))])
def test_an_update_that_goes_on_by_itself_is_waited_for(plan: RolloutPlan) -> None:
    assert outcome(an_update(RolloutPhase.PAUSED, plan), [], TO_2, 60.0) is None


def test_an_update_just_let_go_may_still_show_that_it_is_paused() -> None:
    paused, released = (
        an_update(RolloutPhase.PAUSED, RolloutPlan(partition="1")),
        replace(TO_2, released=True),
    )

    assert outcome(paused, [], released, 0.1) is None
    assert outcome(paused, [], released, 5.0) == Outcome(True, "")


def test_after_a_roll_back_the_instances_of_the_newer_version_do_not_count() -> None:
    back = replace(a_service(), version=1, running_version=2, latest_version=2)

    assert outcome(back, [an_instance(version=2)], READY, 1.0) is None
    assert outcome(back, [an_instance(version=1)], READY, 1.0) == Outcome(True, "")


def test_a_detached_instance_does_not_count() -> None:
    assert outcome(a_service(), [replace(an_instance(), detached=True)], READY, 1.0) is None


@pytest.mark.parametrize("phase", [RolloutPhase.PENDING, RolloutPhase.RUNNING, RolloutPhase.PAUSED])
def test_an_update_that_is_watched_ends_only_when_it_is_over(phase: RolloutPhase) -> None:
    watched = Wanted(Goal.UPDATED, version=2)

    assert outcome(an_update(phase), [], watched, 99.0) is None
    assert outcome(an_update(RolloutPhase.COMPLETED), [], watched, 0.0) == Outcome(True, "")
    assert outcome(an_update(RolloutPhase.FAILED, why="it crashed"), [], watched, 0.0) == Outcome(
        False, "it crashed"
    )


def test_an_instance_larger_than_every_node_can_never_be_placed() -> None:
    asking = replace(an_instance(InstanceState.PENDING, ready=False), resources=Resources(64_000, 1024))
    small, big = a_node("small", cpus=2), a_node("big", cpus=96)

    assert too_large([asking], [small], "public") == (
        "no node of resource group public could hold echo-1 even if it were empty"
    )
    assert too_large([asking], [small, big], "public") == ""
    assert too_large([asking], [small, big], "gpus") == "resource group gpus has no node"
    assert too_large([], [small], "public") == ""


def test_a_stop_is_over_when_the_service_is_stopped() -> None:
    stopping = Wanted(Goal.STOPPED)

    assert outcome(a_service(ServiceState.STOPPING), [], stopping, 1.0) is None
    assert outcome(a_service(ServiceState.STOPPED, 0, 0, "by admin"), [], stopping, 1.0) == Outcome(
        True, "by admin"
    )


def test_what_was_scaled_to_0_is_there_when_nothing_is_left_but_what_is_detached() -> None:
    empty = a_service(ServiceState.RUNNING, 0, 0, "no instance is wanted")
    leaving = an_instance(InstanceState.TERMINATING, ready=False)

    assert outcome(empty, [leaving], READY, 1.0) is None
    assert outcome(empty, [replace(leaving, detached=True)], READY, 1.0) == Outcome(True, empty.why)
    assert outcome(empty, [], READY, 1.0) == Outcome(True, empty.why)
    assert outcome(empty, [], Wanted(Goal.STOPPED), 1.0) is None


def test_more_than_is_wanted_is_told_beside_what_is_wanted() -> None:
    assert readiness(a_service(ready=2, wanted=3)) == "2 of 3 ready"
    assert readiness(a_service(ready=4, wanted=3)) == "3 of 3 ready, 1 more is leaving"
    assert readiness(a_service(ready=5, wanted=3), "instances ") == (
        "3 of 3 instances ready, 2 more are leaving"
    )


def test_a_service_deleted_meanwhile_ends_the_wait() -> None:
    assert outcome(None, [], READY, 1.0) == Outcome(False, "the service was deleted meanwhile")


def test_only_changed_instances_are_told_again() -> None:
    first = moves({}, [an_instance(InstanceState.STARTING, ready=False)])

    assert first == {"echo-1": "starting on n1"}
    assert moves(first, [an_instance(InstanceState.STARTING, ready=False)]) == {}
    assert moves(first, [an_instance()]) == {"echo-1": "ready on n1"}


def test_the_standing_counts_instances_by_state() -> None:
    instances = [an_instance(), an_instance(InstanceState.PULLING, ready=False)]

    told = standing(a_service(ServiceState.CREATING, 1, 2), instances)

    assert told == "Creating: 1 of 2 ready (1 ready, 1 pulling)"


def test_the_picture_ticks_the_phases_that_lie_behind() -> None:
    preparing = an_instance(InstanceState.PREPARING, ready=False)
    crashed = replace(an_instance(InstanceState.CRASH_LOOP_BACK_OFF, ready=False), why="exited with code 1")

    assert [reached(an_instance()), reached(preparing), reached(crashed)] == [5, 2, 0]
    assert phase_line(preparing).plain.split() == (
        ["echo-1", "✔", "placed", "✔", "image", "●", "prepared", "○", "started", "○", "ready"]
    )
    assert phase_line(crashed).plain.endswith("CrashLoopBackOff  exited with code 1")


def test_the_picture_shows_how_far_a_transfer_is() -> None:
    fetching = replace(
        an_instance(InstanceState.PREPARING, ready=False),
        progress=Progress("oss://m/llm", 1 << 30, 4 << 30, 0),
    )

    assert "25 %  fetching oss://m/llm: 1.0 of 4.0 GiB" in phase_line(fetching).plain


def test_what_an_instance_waits_for_is_told_once_and_a_later_crash_again() -> None:
    said = Said()

    assert said.anew("echo-1", "echo-1: no such bucket")
    assert not said.anew("echo", "echo-1: no such bucket")
    assert said.anew("echo-1", "echo-1: its program ended")
    assert said.anew("echo-1", "echo-1: ready")
    assert said.anew("echo-1", "echo-1: its program ended")


def test_an_instance_that_leaves_has_no_phases_before_it() -> None:
    leaving = replace(an_instance(InstanceState.TERMINATING, ready=False), why="a restart was asked for")

    assert " ".join(phase_line(leaving).plain.split()) == "echo-1 leaving a restart was asked for"
