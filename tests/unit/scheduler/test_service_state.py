"""The state of a service and the sentence behind it."""

from libs.domain.records import Rollout
from libs.domain.states import InstanceState, RolloutPhase, ServiceState
from services.scheduler.reconcile.state import running_version, service_state
from services.scheduler.rollout.staging import PAUSED_BY_HAND
from tests.support.builders import NOON, a_ready_instance, a_service, an_instance, at


def test_a_service_with_every_instance_ready_is_running() -> None:
    assert service_state(a_service(wanted=1), None, [a_ready_instance()]) == (
        ServiceState.RUNNING,
        "1 of 1 instances ready",
    )


def test_a_service_that_no_node_can_hold_waits_and_says_why() -> None:
    pending = an_instance(why="public: 1 node lacks 4 CPUs")

    state, why = service_state(a_service(), None, [pending])

    assert state is ServiceState.WAITING
    assert "public: 1 node lacks 4 CPUs" in why


def test_a_service_whose_instances_all_crash_has_failed_with_the_reason() -> None:
    crashing = an_instance(state=InstanceState.CRASH_LOOP_BACK_OFF, node="n1", why="exited with code 1")

    assert service_state(a_service(), None, [crashing]) == (
        ServiceState.FAILED,
        "digits-a: exited with code 1",
    )


def test_an_update_with_a_failing_version_says_what_holds_it_up() -> None:
    old = a_ready_instance("old", version=1)
    failing = an_instance("new", version=2, state=InstanceState.CRASH_LOOP_BACK_OFF, why="exited with code 1")

    state, why = service_state(a_service(version=2), None, [old, failing])

    assert state is ServiceState.UPDATING
    assert why.endswith("held up: new: exited with code 1")


def test_a_stopped_service_is_stopping_until_nothing_is_left() -> None:
    leaving = a_ready_instance(state=InstanceState.TERMINATING, ready=False)

    assert service_state(a_service(stopped=True), None, [leaving])[0] is ServiceState.STOPPING
    assert service_state(a_service(stopped=True), None, [])[0] is ServiceState.STOPPED


def test_a_service_that_is_scaled_to_0_is_stopped_and_says_how() -> None:
    leaving = a_ready_instance(state=InstanceState.TERMINATING, ready=False)

    assert service_state(a_service(wanted=0), None, [leaving])[0] is ServiceState.STOPPING
    assert service_state(a_service(wanted=0), None, [a_ready_instance(detached=True)]) == (
        ServiceState.STOPPED,
        "scaled to 0 instances; its configuration is kept",
    )
    assert service_state(a_service(wanted=0, stopped=True), None, []) == (
        ServiceState.STOPPED,
        "stopped; its configuration is kept",
    )


def test_an_instance_that_is_not_ready_is_named_with_what_its_agent_says() -> None:
    why = {"node": "n1", "state": InstanceState.RUNNING, "why": "readiness_check: answered 500", "cause": "X"}
    failing = [an_instance(name, version=2, **why) for name in ("new-b", "new-a")]
    update = Rollout("digits", 2, 1, NOON, phase=RolloutPhase.RUNNING)
    said = "; new-a is not ready: readiness_check: answered 500"

    during = service_state(a_service(version=2), update, [a_ready_instance("old"), *failing])
    alone = service_state(a_service(version=2), None, failing)

    assert during == (
        ServiceState.UPDATING,
        f"version 2: 0 of 1 instances ready, 1 old one remains{said}",
    )
    assert alone == (ServiceState.CREATING, f"0 of 1 instances ready{said}")


def test_a_running_service_that_grows_is_scaling() -> None:
    service = a_service(wanted=2, state=ServiceState.RUNNING)
    starting = an_instance("b", state=InstanceState.STARTING, node="n1")

    assert service_state(service, None, [a_ready_instance(), starting])[0] is ServiceState.SCALING


def test_a_service_whose_instances_are_replaced_by_a_restart_is_updating() -> None:
    service = a_service(state=ServiceState.RUNNING, restarted_at=at(10))
    before, after = a_ready_instance("a", created_at=at(0)), an_instance("b", created_at=at(11), node="n1")

    assert service_state(service, None, [before, after]) == (
        ServiceState.UPDATING,
        "version 1: 0 of 1 instances ready, 1 old one remains",
    )


def test_a_service_that_is_slow_to_start_says_what_its_instance_is_busy_with() -> None:
    starting = an_instance(
        state=InstanceState.STARTING, node="n1", why="listens on port 9123, but was given port 8000"
    )

    assert service_state(a_service(), None, [starting]) == (
        ServiceState.CREATING,
        "0 of 1 instances ready; digits-a: listens on port 9123, but was given port 8000",
    )


def test_an_update_that_is_held_up_says_what_it_waits_for() -> None:
    why = "2 of the instances stay at version 1 until it is promoted"
    paused = Rollout("digits", 2, 1, NOON, phase=RolloutPhase.PAUSED, why=why)
    instances = [a_ready_instance("old", version=1), a_ready_instance("new", version=2)]

    state, sentence = service_state(a_service(version=2, wanted=2), paused, instances)

    assert state is ServiceState.UPDATING
    assert sentence == f"version 2: 1 of 2 instances ready, 1 old one remains; paused: {why}"


def test_an_update_that_failed_or_was_paused_by_hand_says_so_once() -> None:
    instances = [a_ready_instance("old", version=1), a_ready_instance("new", version=2)]
    failed = Rollout("digits", 2, 1, NOON, phase=RolloutPhase.FAILED, why="new: exited with code 1")
    by_hand = Rollout("digits", 2, 1, NOON, phase=RolloutPhase.PAUSED, why=PAUSED_BY_HAND, paused=True)

    assert service_state(a_service(version=2), failed, instances)[1].endswith(
        "remains; failed: new: exited with code 1"
    )
    assert service_state(a_service(version=2), by_hand, instances)[1].endswith("remains; paused by hand")


def test_an_isolated_instance_counts_and_a_detached_one_does_not() -> None:
    isolated, detached = a_ready_instance("i", isolated=True), a_ready_instance("d", detached=True)

    assert service_state(a_service(wanted=2), None, [a_ready_instance(), isolated, detached]) == (
        ServiceState.RUNNING,
        "1 of 2 instances ready, 1 isolated",
    )
    assert service_state(a_service(stopped=True), None, [detached])[0] is ServiceState.STOPPED


def test_a_service_that_is_isolated_as_a_whole_does_not_run() -> None:
    service = a_service(state=ServiceState.RUNNING)

    assert service_state(service, None, [a_ready_instance(isolated=True)]) == (
        ServiceState.WAITING,
        "0 of 1 instances ready, 1 isolated",
    )


def test_the_running_version_is_the_one_in_force_where_it_answers() -> None:
    one, two = a_ready_instance("a", version=1), a_ready_instance("b", version=2)

    assert running_version(a_service(version=1), [one, two]) == 1
    assert running_version(a_service(version=3), [one, two]) == 2
    assert running_version(a_service(), []) == 0
