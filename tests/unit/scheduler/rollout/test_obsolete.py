"""Why an instance must be replaced, and that its successor comes first."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.domain.records import GpuFence, Instance
from services.scheduler.rollout.obsolete import soon_gone
from tests.support.builders import NOON, a_node, a_ready_instance, at
from tests.unit.scheduler.rollout.situations import crashing, created, planned, removed

DRAINED = {"n1": a_node("n1", draining=True), "n2": a_node("n2")}
FENCE = GpuFence("n1", "GPU-7", "Xid79", "it fell off the bus (XID 79)", NOON)


@pytest.mark.parametrize(
    ("moved", "fields", "why"),
    [
        ({}, {"nodes": DRAINED}, "node n1 is being drained"),
        ({}, {"service": {"restarted_at": at(10)}}, "a restart of the service was asked for"),
        ({"replace_why": "ada asked for another"}, {}, "ada asked for another"),
        (
            {"gpu_uuids": ("GPU-7",)},
            {"fences": {("n1", "GPU-7"): FENCE}},
            "GPU GPU-7 of node n1 is fenced: it fell off the bus (XID 79)",
        ),
    ],
)
def test_what_must_move_leaves_when_its_successor_serves(
    moved: dict[str, Any], fields: dict[str, Any], why: str
) -> None:
    here = a_ready_instance("here", node="n1", **moved)
    there = a_ready_instance("there", node="n2", created_at=at(11))

    first, then = planned([here], **fields), planned([here, there], **fields)

    assert (created(first), removed(first), first.why) == ([1], [], why)
    assert [(r.instance.id, r.why) for r in then.remove] == [("here", why)]


def test_a_fence_that_was_lifted_moves_nothing() -> None:
    lifted = GpuFence("n1", "GPU-7", "Xid79", "", NOON, lifted_at=at(5))
    instance = a_ready_instance(gpu_uuids=("GPU-7",))

    assert created(planned([instance], fences={("n1", "GPU-7"): lifted})) == []


def test_an_instance_whose_port_another_program_took_is_placed_anew_and_says_so() -> None:
    nodes = {"n1": a_node("n1", busy_ports=(8000,))}
    blocked = crashing("blocked", version=1, host_port=8000)

    plan = planned([blocked], nodes=nodes)

    assert (created(plan), removed(plan)) == ([1], ["blocked"])
    assert plan.remove[0].why == "port 8000 of node n1 belongs to another program"


def test_an_instance_whose_port_another_instance_listens_on_is_placed_anew_and_says_so() -> None:
    blocked = crashing("blocked", version=1, host_port=20_002)

    plan = planned([blocked], port_holder=lambda instance: "other-a" if instance is blocked else "")

    assert (created(plan), removed(plan)) == ([1], ["blocked"])
    assert plan.remove[0].why == "port 20002 of node n1 belongs to instance other-a"


def test_what_is_isolated_counts_and_stays_through_a_fence_of_its_gpu() -> None:
    isolated = a_ready_instance("isolated", isolated=True, gpu_uuids=("GPU-7",))

    plan = planned([isolated], fences={("n1", "GPU-7"): FENCE})

    assert (created(plan), removed(plan)) == ([], [])


def detached() -> Instance:
    return a_ready_instance("apart", detached=True)


def isolated_and_old() -> Instance:
    return a_ready_instance("apart", isolated=True, version=1)


@pytest.mark.parametrize("apart", [detached(), isolated_and_old()])
def test_what_is_apart_does_not_count_and_stays_until_it_is_deleted_or_its_node_drained(
    apart: Instance,
) -> None:
    service = {"version": 2}
    serving = a_ready_instance("serving", version=2, node="n2")

    alone, both = planned([apart], service=service), planned([apart, serving], service=service)
    drained = planned([apart, serving], service=service, nodes=DRAINED)

    assert (created(alone), removed(alone)) == ([2], [])
    assert (created(both), removed(both)) == ([], [])
    assert (created(drained), removed(drained)) == ([], ["apart"])


@pytest.mark.parametrize(
    ("why", "patient"),
    [("moves from spot nodes to own nodes, which have room", True), ("ada asked for another", False)],
)
def test_only_one_that_moves_to_a_better_node_may_take_its_time(why: str, patient: bool) -> None:
    here = a_ready_instance("here", replace_why=why)
    there = a_ready_instance("there", node="n2", created_at=at(11))

    assert [removal.patient for removal in planned([here, there]).remove] == [patient]


def test_a_node_that_was_to_go_at_the_beginning_of_all_time_is_gone_by_now() -> None:
    node = a_node("n1", reclaim_at=datetime.min.replace(tzinfo=UTC))

    assert soon_gone(node, timedelta(seconds=35), NOON)
