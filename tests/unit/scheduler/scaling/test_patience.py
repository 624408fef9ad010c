"""What is one too many may end what is under way in it; until the service or its node goes away."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from libs.db.changes import Changes
from libs.domain.records import Instance, Service
from libs.domain.scaling import Autoscaler
from libs.domain.states import InstanceState, ServiceState
from services.scheduler.admin.instances import deleted
from services.scheduler.agents.desired import desired_state, order_of
from services.scheduler.reconcile.drain import Unrouted
from services.scheduler.reconcile.placing import Placer
from services.scheduler.reconcile.state import service_state
from services.scheduler.reconcile.turn import Turn
from services.scheduler.rollout.replacing import surplus_order
from services.scheduler.world import World
from tests.support.builders import (
    NOON,
    a_node,
    a_ready_instance,
    a_service,
    a_spec,
    a_version,
    a_world,
    at,
)

ASLEEP = "asleep: no instance until a request comes"


def a_policy(least: int) -> Autoscaler:
    return Autoscaler("digits", json.dumps({"min": least}), NOON, NOON, revision=1)


def a_scene(*more: Any, instances: int = 2, **service: Any) -> World:
    ready = (a_ready_instance(f"digits-{each}", created_at=at(each)) for each in range(instances))
    stands = {"state": ServiceState.RUNNING, "stable_version": 1, **service}
    version = a_version(spec={**a_spec(), "metadata": {**a_spec()["metadata"], "instance": instances}})
    return a_world(a_node(), a_service(**stands), version, *ready, *more)


def turned(world: World) -> Changes:
    turn = Turn(world, Placer(world), lambda _: Unrouted(("gateway",)), timedelta(seconds=30), at(100))
    changes = turn.changes(["digits"])
    world.apply(changes)
    return changes


def leaving(world: World) -> dict[str, bool]:
    """Those that leave, and whether with patience."""
    gone = (each for each in world.instances.values() if each.state is InstanceState.TERMINATING)
    return {each.id: each.leaves_patiently for each in gone}


def test_one_too_many_leaves_with_patience() -> None:
    world = a_scene(wanted=1)

    turned(world)

    assert leaving(world) == {"digits-1": True}


def test_a_service_that_falls_asleep_lets_its_last_instance_leave_with_patience() -> None:
    world = a_scene(a_policy(0), wanted=0, instances=1)

    turned(world)

    assert leaving(world) == {"digits-0": True}
    assert world.services["digits"].state is ServiceState.RUNNING
    assert world.services["digits"].why == f"{ASLEEP}; 1 instance is still leaving"


@pytest.mark.parametrize("change", [{"stopped": True}, {"deleting": True}, {"wanted": 0}])
def test_a_service_that_is_taken_away_has_no_patience(change: dict[str, Any]) -> None:
    world = a_scene(instances=1, **change)

    turned(world)

    assert leaving(world) == {"digits-0": False}


@pytest.mark.parametrize("change", [{"stopped": True}, {"deleting": True}])
def test_a_later_end_of_the_service_takes_the_patience_back(change: dict[str, Any]) -> None:
    world = a_scene(wanted=1)
    turned(world)
    world.apply(Changes(put=(replace(world.services["digits"], **change),)))

    changes = turned(world)

    assert leaving(world)["digits-1"] is False
    assert "InstanceHurried" in [event.reason for event in changes.events]


@pytest.mark.parametrize("change", [{"draining": True}, {"reclaim_at": at(134)}])
def test_a_node_that_must_be_emptied_takes_the_patience_back(change: dict[str, Any]) -> None:
    world = a_scene(wanted=1)
    turned(world)
    world.apply(Changes(put=(replace(world.nodes["n1"], **change),)))

    turned(world)

    assert leaving(world)["digits-1"] is False


def test_a_node_that_is_taken_away_later_takes_the_patience_back_at_the_last_call() -> None:
    world = a_scene(wanted=1)
    turned(world)
    # 30 s are its grace period, and 5 s are for the gateways.
    for moment, patient in ((at(86_400), True), (at(136), True), (at(135), False)):
        world.apply(Changes(put=(replace(world.nodes["n1"], reclaim_at=moment),)))

        turned(world)

        assert leaving(world)["digits-1"] is patient


def test_deleting_an_instance_that_leaves_with_patience_ends_the_patience() -> None:
    world = a_scene(wanted=1)
    turned(world)

    (hurried,) = deleted(world, "digits-1", at(101)).put

    assert isinstance(hurried, Instance)
    assert not hurried.leaves_patiently


def test_its_agent_waits_for_its_connections_for_as_long_as_is_set() -> None:
    patient = a_ready_instance("digits-a", state=InstanceState.TERMINATING, leaves_patiently=True)
    world = a_world(a_node(), a_service(), a_version(), patient, a_ready_instance("digits-b"))

    def drains(patience: timedelta) -> dict[str, int]:
        return {each.id: each.drain_ms for each in desired_state(world, "n1", 1, None, patience).assignments}

    assert drains(timedelta(hours=1)) == {"digits-a": 3_600_000, "digits-b": 30_000}
    assert drains(timedelta(0)) == {"digits-a": 30_000, "digits-b": 30_000}
    assert order_of(patient) != order_of(replace(patient, leaves_patiently=False))


def test_of_those_that_serve_the_named_ones_leave_first_in_their_order() -> None:
    instances = [a_ready_instance(f"digits-{each}", created_at=at(each)) for each in range(4)]

    order = surplus_order(instances, leave_first=("digits-1", "gone", "digits-2"))

    assert [each.id for each in order] == ["digits-1", "digits-2", "digits-3", "digits-0"]


def test_what_does_not_serve_leaves_before_the_named_ones() -> None:
    idle = a_ready_instance("idle", ready=False)

    order = surplus_order([a_ready_instance("named"), idle], leave_first=("named",))

    assert [each.id for each in order] == ["idle", "named"]


def test_a_sleeping_service_is_running_and_says_so() -> None:
    asleep = a_service(wanted=0)

    assert service_state(asleep, None, [], sleeps=True) == (ServiceState.RUNNING, ASLEEP)
    assert service_state(asleep, None, [])[0] is ServiceState.STOPPED
    assert service_state(replace(asleep, stopped=True), None, [], sleeps=True)[0] is ServiceState.STOPPED


def test_a_sleeping_service_is_at_rest() -> None:
    world = a_scene(a_policy(0), wanted=0, instances=0)

    turned(world)

    assert not turned(world)
    assert isinstance(world.services["digits"], Service)
    assert world.services["digits"].why == ASLEEP
