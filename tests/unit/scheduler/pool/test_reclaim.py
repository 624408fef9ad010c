"""A node that is taken away: who may announce it, what becomes of its instances, and when it comes back."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from easel.agent.v1 import agent_pb2
from easel.common.v1 import common_pb2
from libs.db.changes import Changes
from libs.domain.errors import FailedPrecondition, InvalidRequest
from libs.domain.records import Instance, Node, Resources
from libs.domain.states import NodeState
from services.scheduler.admin.nodes import updated
from services.scheduler.agents.joining import inventory_told, said_hello
from services.scheduler.pool.leaving import Leaving, leaving
from services.scheduler.pool.reclaim import Announcement, asked
from services.scheduler.reconcile.placing import Placer
from services.scheduler.rollout.plan import plan_service
from services.scheduler.rollout.situation import Situation
from services.scheduler.world import World
from tests.support.builders import NOON, a_node, a_ready_instance, a_service, a_spec, a_version, a_world, at

TWO_MINUTES = timedelta(minutes=2)
SPOT = {"easel/spot": "true", "easel/price": "0.2"}


def a_picture(labels: dict[str, str] | None = None, protection: bool = True, **node: Any) -> World:
    spec = a_spec()
    if not protection:
        spec["cloud"] = {"computing": {"disable_spot_protection_period": True}}
    return a_world(
        a_node(labels=labels or {}, **node),
        a_service(),
        a_version(spec=spec),
        a_ready_instance(placed_at=at(-600)),
    )


def node_after(world: World, changes: Changes) -> Node:
    world.apply(changes)
    return world.nodes["n1"]


def test_an_announcement_is_kept_with_its_reason_and_said() -> None:
    world = a_picture()

    done = asked(world, Announcement("n1", TWO_MINUTES, "the rent ends"), NOON)

    node = node_after(world, done)
    assert (node.reclaim_at, node.reclaim_why) == (at(120), "the rent ends")
    (event,) = done.events
    assert (event.reason, event.why) == (
        "NodeReclaimed",
        "node n1 is taken away at 12:02:00 UTC: the rent ends",
    )


def test_within_the_first_hour_on_a_spot_node_it_is_refused_unless_forced() -> None:
    world = a_picture(SPOT)

    with pytest.raises(FailedPrecondition) as refused:
        asked(world, Announcement("n1", TWO_MINUTES), NOON)

    assert str(refused.value) == (
        "instance digits-a on node 'n1' is protected until 12:50:00 UTC, an hour after it was placed there; "
        "give longer notice, or force it"
    )
    assert asked(world, Announcement("n1", timedelta(minutes=50)), NOON)
    assert asked(world, Announcement("n1", TWO_MINUTES, force=True), NOON)
    assert asked(a_picture(SPOT, protection=False), Announcement("n1", TWO_MINUTES), NOON)
    assert asked(a_picture(), Announcement("n1", TWO_MINUTES), NOON)


def test_an_announcement_is_taken_back() -> None:
    world = a_picture()
    world.apply(asked(world, Announcement("n1", TWO_MINUTES), NOON))

    node = node_after(world, asked(world, Announcement("n1", cancel=True), NOON))

    assert (node.reclaim_at, node.reclaim_why) == (None, "")
    with pytest.raises(FailedPrecondition, match="nothing is announced of node 'n1'"):
        asked(world, Announcement("n1", cancel=True), NOON)


def test_a_notice_that_is_no_time_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="notice: got 400d, expected 0 seconds to 30 days"):
        asked(a_picture(), Announcement("n1", timedelta(days=400)), NOON)
    with pytest.raises(InvalidRequest, match="notice: got -1s"):
        asked(a_picture(), Announcement("n1", timedelta(seconds=-1)), NOON)


def inventory(seconds: float | None, **fields: Any) -> agent_pb2.Inventory:
    told = agent_pb2.Inventory(capacity=common_pb2.Resources(cpu_milli=8000, memory_mib=16_000), **fields)
    if seconds is not None:
        told.reclaim_at.FromDatetime(at(seconds))
        told.reclaim_why = "the provider says so"
    return told


def test_what_a_node_says_of_itself_holds_until_it_says_so_no_more() -> None:
    world = a_picture(SPOT)

    told = inventory_told(world, "n1", inventory(120), NOON)
    assert node_after(world, told).reclaim_at == at(120)
    assert [event.reason for event in told.events] == ["NodeReclaimed"]
    assert not inventory_told(world, "n1", inventory(120), NOON).events

    untold = inventory_told(world, "n1", inventory(None), NOON)
    assert node_after(world, untold).reclaim_at is None
    assert [event.reason for event in untold.events] == ["NodeReclaimCancelled"]


def test_what_was_announced_by_hand_does_not_end_with_a_heartbeat() -> None:
    world = a_picture()
    world.apply(asked(world, Announcement("n1", TWO_MINUTES, "by hand"), NOON))

    for said in (inventory(None), inventory(300)):
        assert node_after(world, inventory_told(world, "n1", said, NOON)).reclaim_at == at(120)
    earlier = node_after(world, inventory_told(world, "n1", inventory(60), NOON))
    assert (earlier.reclaim_at, earlier.reclaim_by_agent) == (at(60), True)


def test_a_node_that_comes_back_after_its_time_takes_instances_again() -> None:
    def returned(seconds: float, state: NodeState) -> Node:
        world = a_picture(state=state, reclaim_at=at(120), reclaim_why="the rent ends")
        hello = agent_pb2.Hello(node="n1", inventory=inventory(None))
        return node_after(world, said_hello(world, hello, 2, at(seconds)))

    assert returned(121, NodeState.LOST).reclaim_at is None
    assert returned(119, NodeState.LOST).reclaim_at == at(120)
    assert returned(121, NodeState.READY).reclaim_at == at(120)


def test_labels_that_cannot_be_read_are_refused_by_hand_and_a_warning_from_a_node() -> None:
    world = a_picture()

    with pytest.raises(InvalidRequest) as refused:
        updated(world, "n1", None, {"easel/price": "much"}, NOON)
    told = inventory_told(world, "n1", inventory(None, labels={"easel/price": "much"}), NOON)

    assert str(refused.value) == (
        "labels[easel/price]: got 'much', expected a price an hour of 0 or more, such as 0.35"
    )
    assert [event.reason for event in told.events] == ["NodeLabelUnread"]


def situation(now: float, *instances: Instance, surge: int = 1) -> Situation:
    node = a_node("gone", reclaim_at=at(120), reclaim_why="the rent ends")
    return Situation(
        service=a_service(wanted=2, stable_version=1),
        rollout=None,
        instances=instances,
        nodes={"gone": node, "stays": a_node("stays")},
        fences={},
        surge=surge,
        unavailable=0,
        now=at(now),
        leave_within=timedelta(seconds=35),
    )


def test_instances_on_it_are_replaced_successors_first_and_leave_in_time() -> None:
    going = [a_ready_instance(f"digits-{name}", node="gone") for name in "ab"]
    one_ready = [*going, a_ready_instance("digits-c", node="stays")]

    first = plan_service(situation(0, *going, surge=2))
    then = plan_service(situation(10, *one_ready, surge=2))
    at_last = plan_service(situation(85, *one_ready, surge=2))

    why = "node gone is taken away at 12:02:00 UTC: the rent ends"
    assert (len(first.create), first.remove) == (2, ())
    assert [(r.instance.id, r.why) for r in then.remove] == [("digits-a", why)]
    assert {r.instance.id for r in at_last.remove} == {"digits-a", "digits-b"}


def test_an_unreadable_version_is_protected() -> None:
    world = a_picture(SPOT)
    version = world.version("digits", 1)
    world.apply(Changes(put=(replace(version, spec_json=json.dumps({"written": "by another release"})),)))

    with pytest.raises(FailedPrecondition, match="protected"):
        asked(world, Announcement("n1", TWO_MINUTES), NOON)


def test_on_a_node_of_ones_own_instances_get_the_time_that_they_need_unless_forced() -> None:
    world = a_picture()

    with pytest.raises(FailedPrecondition) as refused:
        asked(world, Announcement("n1", timedelta(seconds=34)), NOON)

    assert str(refused.value) == (
        "node 'n1' has 1 instance that may need 35s to leave without cutting a request; "
        "give longer notice, or force it"
    )
    assert asked(world, Announcement("n1", timedelta(seconds=35)), NOON)
    assert asked(world, Announcement("n1", timedelta(), force=True), NOON)
    assert asked(a_world(a_node()), Announcement("n1", timedelta()), NOON)


def test_it_is_told_how_many_have_room_elsewhere_and_how_many_have_no_time() -> None:
    half = Resources(cpu_milli=2000)

    def a_pair(*others: Node) -> tuple[World, Placer]:
        pair = (a_ready_instance(f"digits-{name}", resources=half) for name in "ab")
        world = a_world(a_node(), *others, a_service(), a_version(spec=a_spec(cpu=2)), *pair)
        return world, Placer(world)

    narrow = a_node("n2", capacity=Resources(3000, 16_000, 100_000))
    alone, crowded, roomy = a_pair(), a_pair(narrow), a_pair(a_node("n2"))

    assert leaving(*alone, "n1", at(120), NOON) == Leaving(moving=2, room=0, hurried=0)
    assert leaving(*crowded, "n1", at(34), NOON) == Leaving(moving=2, room=1, hurried=2)
    assert leaving(*roomy, "n1", at(35.1), NOON) == Leaving(moving=2, room=2, hurried=0)
    # Nothing is held by having asked, and the node is as it was.
    assert leaving(*roomy, "n1", at(120), NOON).room == 2
    assert roomy[1].snapshot.node("n1").reclaim_at is None
