"""A service is passed over only when a turn would change nothing of it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.db.changes import Changes
from libs.domain.records import GpuFence, Rollout
from libs.domain.states import InstanceState, RolloutPhase, ServiceState
from services.scheduler.reconcile.drain import Unrouted
from services.scheduler.reconcile.placing import Placer
from services.scheduler.reconcile.rest import at_rest
from services.scheduler.reconcile.turn import Turn
from services.scheduler.world import World
from tests.support.builders import NOON, a_node, a_ready_instance, a_service, a_spec, a_version, a_world, at

# What may be otherwise, each alone or together with others.
SERVICE: tuple[Mapping[str, Any], ...] = (
    {"version": 2},
    {"wanted": 0},
    {"wanted": 1},
    {"wanted": 3},
    {"stopped": True},
    {"deleting": True},
    {"restarted_at": at(5)},
    {"stable_version": 0},
    {"why": "accepted"},
    {"state": ServiceState.SCALING},
)
INSTANCE: tuple[Mapping[str, Any], ...] = (
    {"ready": False},
    {"state": InstanceState.CRASH_LOOP_BACK_OFF, "ready": False},
    {"state": InstanceState.LOST, "ready": False},
    {"state": InstanceState.TERMINATING, "ready": False, "drain_started_at": at(1)},
    {"state": InstanceState.PENDING, "ready": False, "node": ""},
    {"isolated": True},
    {"detached": True},
    {"replace_why": "deleted by hand"},
    {"restart_asked_at": at(1)},
    {"version": 2},
    {"node": "n2"},
    {"node": "gone"},
    {"gpu_uuids": ("GPU-0",)},
    {"created_at": at(-9)},
)
UPDATE = Rollout("digits", 1, 2, NOON, phase=RolloutPhase.RUNNING, revision=1)
AROUND = (
    UPDATE,
    replace(UPDATE, version=2, from_version=1),
    replace(UPDATE, phase=RolloutPhase.COMPLETED, finished_at=NOON),
    replace(UPDATE, phase=RolloutPhase.FAILED, why="failed"),
    GpuFence("n1", "GPU-0", "Xid79", "it fell off the bus", NOON),
    a_node("n1", draining=True),
    a_node("n1", reclaim_at=at(120)),
    a_version(spec={"written": "by another release"}),
)


def a_picture(
    service: Mapping[str, Any], one: Mapping[str, Any], other: Mapping[str, Any], around: tuple[Any, ...] = ()
) -> World:
    running = {
        "state": ServiceState.RUNNING,
        "wanted": 2,
        "stable_version": 1,
        "why": "2 of 2 instances ready",
    }
    world = a_world(
        a_node("n1"),
        a_node("n2", draining=True),
        a_service(**{**running, **service}),
        *(a_version(number=number, spec={**a_spec(), "token": "secret"}) for number in (1, 2)),
        a_ready_instance("digits-a", **one),
        a_ready_instance("digits-b", **other),
    )
    world.apply(Changes(put=around))
    return world


def all_of_a_turn(world: World) -> Changes:
    """Without passing anything over."""
    turn = Turn(world, Placer(world), lambda _: Unrouted(), timedelta(seconds=30), at(60), fast=False)
    return turn.changes(["digits"])


def test_a_service_with_all_it_wants_is_at_rest() -> None:
    world = a_picture({}, {}, {})

    assert at_rest(world, world.service("digits"))
    assert not all_of_a_turn(world)


@pytest.mark.parametrize("service", SERVICE, ids=str)
def test_a_service_of_which_something_is_asked_is_not(service: Mapping[str, Any]) -> None:
    world = a_picture(service, {}, {})

    assert not at_rest(world, world.service("digits"))


@pytest.mark.parametrize("instance", INSTANCE, ids=str)
def test_a_service_with_an_instance_that_does_not_serve_or_may_not_stay_is_not(
    instance: Mapping[str, Any],
) -> None:
    fence = GpuFence("n1", "GPU-0", "Xid79", "it fell off the bus", NOON)
    world = a_picture({"restarted_at": at(-5)}, {}, instance, (fence,))

    assert not at_rest(world, world.service("digits"))


@given(
    service=st.lists(st.sampled_from(SERVICE), max_size=1),
    one=st.lists(st.sampled_from(INSTANCE), max_size=2),
    other=st.lists(st.sampled_from(INSTANCE), max_size=1),
    around=st.lists(st.sampled_from(AROUND), max_size=2),
)
def test_nothing_is_passed_over_that_a_turn_would_change(
    service: list[Mapping[str, Any]],
    one: list[Mapping[str, Any]],
    other: list[Mapping[str, Any]],
    around: list[Any],
) -> None:
    world = a_picture(*(joined(each) for each in (service, one, other)), around=tuple(around))

    if at_rest(world, world.service("digits")):
        assert not all_of_a_turn(world)


def joined(changes: list[Mapping[str, Any]]) -> dict[str, Any]:
    return {key: value for each in changes for key, value in each.items()}
