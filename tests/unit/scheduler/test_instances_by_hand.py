"""What users may do to one instance."""

from typing import Any

import pytest

from libs.domain.errors import FailedPrecondition
from libs.domain.records import Instance
from libs.domain.states import InstanceState, SafetyLock
from services.scheduler.admin.instances import deleted, detached, isolated, restarted
from services.scheduler.world import World
from tests.support.builders import a_ready_instance, a_service, a_version, a_world, an_instance, at

ONE = "digits-a"


def a_picture(instance: Instance, **service: Any) -> World:
    return a_world(a_service(**service), a_version(), instance)


def only(changes: Any) -> Instance:
    (record,) = changes.put
    assert isinstance(record, Instance)
    return record


def test_an_instance_that_serves_stays_until_another_takes_its_place() -> None:
    after = only(deleted(a_picture(a_ready_instance()), ONE, at(5)))

    assert (after.state, after.ready) == (InstanceState.RUNNING, True)
    assert after.replace_why == "its removal was asked for"


@pytest.mark.parametrize(
    ("instance", "service"),
    [
        (a_ready_instance(isolated=True), {}),
        (a_ready_instance(detached=True), {}),
        (a_ready_instance(), {"stopped": True}),
        (a_ready_instance(), {"deleting": True}),
        (an_instance(state=InstanceState.CRASH_LOOP_BACK_OFF, node="n1"), {}),
    ],
    ids=["isolated", "detached", "service stopped", "service leaving", "never ready"],
)
def test_an_instance_that_nobody_needs_leaves_at_once(instance: Instance, service: dict[str, Any]) -> None:
    after = only(deleted(a_picture(instance, **service), ONE, at(5)))

    assert (after.state, after.ready, after.drain_started_at) == (InstanceState.TERMINATING, False, at(5))


@pytest.mark.parametrize("change", [{"replace_why": "asked"}, {"state": InstanceState.TERMINATING}])
def test_asking_for_a_removal_again_changes_nothing(change: dict[str, Any]) -> None:
    assert not deleted(a_picture(a_ready_instance(**change)), ONE, at(5))


def test_a_restart_is_asked_for_once() -> None:
    after = only(restarted(a_picture(a_ready_instance()), ONE, at(5)))

    assert after.restart_asked_at == at(5)
    assert not after.routed
    assert not restarted(a_picture(after), ONE, at(6))


@pytest.mark.parametrize("state", ["PENDING", "SCHEDULED", "PULLING", "PREPARING", "TERMINATING", "LOST"])
def test_what_runs_no_program_cannot_be_restarted(state: str) -> None:
    with pytest.raises(FailedPrecondition, match=f"'{ONE}' is {InstanceState[state].value}"):
        restarted(a_picture(an_instance(state=InstanceState[state])), ONE, at(5))


def test_an_isolated_instance_takes_no_traffic_until_it_is_put_back() -> None:
    aside = only(isolated(a_picture(a_ready_instance()), ONE, True, "", at(5)))
    back = only(isolated(a_picture(aside), ONE, False, "", at(6)))

    assert not aside.routed
    assert back.routed
    assert not isolated(a_picture(aside), ONE, True, "", at(7))
    assert not isolated(a_picture(back), ONE, False, "", at(7))


def test_a_detached_instance_takes_no_traffic_for_ever() -> None:
    aside = only(detached(a_picture(a_ready_instance()), ONE, "", at(5)))

    assert not aside.routed
    assert not detached(a_picture(aside), ONE, "", at(6))
    with pytest.raises(FailedPrecondition, match="detached, which cannot be undone"):
        isolated(a_picture(aside), ONE, False, "", at(6))


@pytest.mark.parametrize("state", ["PENDING", "TERMINATING", "LOST"])
def test_only_what_is_somewhere_and_stays_is_taken_aside(state: str) -> None:
    picture = a_picture(an_instance(state=InstanceState[state]))

    with pytest.raises(FailedPrecondition):
        isolated(picture, ONE, True, "", at(5))
    with pytest.raises(FailedPrecondition):
        detached(picture, ONE, "", at(5))


def test_why_one_is_taken_aside_is_in_the_event() -> None:
    (event,) = isolated(a_picture(a_ready_instance()), ONE, True, "it answers slowly", at(5)).events

    assert (event.reason, event.why, event.subject) == ("InstanceIsolated", "it answers slowly", ONE)


def test_a_service_locked_against_every_change_keeps_its_instances_as_they_are() -> None:
    picture = a_picture(a_ready_instance(), safety_lock=SafetyLock.ALL)

    for change in (
        lambda: deleted(picture, ONE, at(5)),
        lambda: restarted(picture, ONE, at(5)),
        lambda: isolated(picture, ONE, True, "", at(5)),
        lambda: detached(picture, ONE, "", at(5)),
    ):
        with pytest.raises(FailedPrecondition, match=r"locked \(all\): its instances cannot be"):
            change()
