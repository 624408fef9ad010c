"""What fits is exactly what can be placed."""

import json
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.domain.records import Instance, Node, Resources
from services.scheduler.capacity.measure import of_shape, of_tiers
from services.scheduler.capacity.node_fits import UNBOUNDED
from services.scheduler.facts import facts_of
from services.scheduler.placement import Ask, Placement, Snapshot, Spot, place, place_all
from services.scheduler.reconcile.placing import Crowd, Placer, ask_for
from tests.support.builders import NOON, a_node, a_service, a_spec, a_version, a_world
from tests.unit.scheduler.placement.worlds import asks, nodes

MOST = 60


def with_own_gpus(node: Node) -> Node:
    return replace(node, gpus=tuple(replace(gpu, uuid=f"{node.name}-{gpu.uuid}") for gpu in node.gpus))


# No device is reported by two nodes: that is a moment on its way from one to the other.
clusters = st.lists(nodes().map(with_own_gpus), unique_by=lambda node: node.name, max_size=4)


@settings(max_examples=400, deadline=None)
@given(clusters, st.lists(asks, max_size=6, unique_by=lambda ask: ask.instance), asks)
def test_as_many_as_fit_can_be_placed_and_then_one_more_is_refused(
    cluster: list[Node], earlier: list[Ask], ask: Ask
) -> None:
    snapshot = Snapshot.of(cluster)
    place_all(earlier, snapshot)
    group = ask.resource_group
    asked = replace(ask, spot=Spot.NONE if group == "public" else Spot.ANY, spot_limit=0.0)

    (found,) = of_shape(asked, [group], snapshot)

    assert found.fits == min(UNBOUNDED, sum(each.fits for each in found.on))
    on: dict[str, int] = {}
    for number in range(min(found.fits, MOST)):
        answer = place(replace(asked, instance=f"more-{number}"), snapshot)
        assert isinstance(answer, Placement)
        snapshot.assume(answer)
        on[answer.node] = on.get(answer.node, 0) + 1
    if found.fits <= MOST:
        assert not isinstance(place(replace(asked, instance="too many"), snapshot), Placement)
        assert on == {each.node: each.fits for each in found.on if each.fits}
        assert all(each.why for each in found.on)
        assert sum(int(why.split()[0]) for why in found.reasons if found.on) == len(found.on)


TYPES = ("ecs.small", "ecs.large")
entries = st.one_of(
    st.fixed_dictionaries({"type": st.just("dedicated_resource")}, optional={"capacity": st.integers(0, 3)}),
    st.fixed_dictionaries(
        {"type": st.sampled_from(TYPES)},
        optional={
            "capacity": st.one_of(st.integers(0, 3), st.sampled_from(["20%", "50%"])),
            "spot_price_limit": st.sampled_from([0.5, 1.5]),
        },
    ),
)


@st.composite
def pools(draw: st.DrawFn) -> list[Node]:
    """Small nodes of the own group and of public ones, of both types, spot or not."""
    found = []
    for name in range(draw(st.integers(0, 5))):
        labels = {"easel/instance-type": draw(st.sampled_from(TYPES))}
        if draw(st.booleans()):
            labels |= {"easel/spot": "true", "easel/price": draw(st.sampled_from(["0.4", "1"]))}
        room = Resources(cpu_milli=1000 * draw(st.integers(0, 3)), memory_mib=8_000)
        found.append(
            a_node(
                f"n{name}",
                resource_group=draw(st.sampled_from(["lab", "public"])),
                labels=labels,
                capacity=room,
            )
        )
    return found


@settings(max_examples=300, deadline=None)
@given(pools(), st.lists(entries, max_size=4), st.integers(0, 6))
def test_over_all_tiers_with_their_caps_as_many_as_fit_can_be_placed_and_no_more(
    cluster: list[Node], instances: list[dict[str, Any]], wanted: int
) -> None:
    spec = a_spec(cpu=1, resource="lab", resource_burstable=True)
    spec["cloud"] = {"computing": {"instances": instances}}
    world = a_world(*cluster, a_service(wanted=wanted), a_version(spec=spec))
    facts, placer = facts_of(json.dumps(spec)), Placer(world)
    tiers = placer.tiers(facts)
    one = Instance("", "digits", 1, NOON, resources=facts.resources)
    asked = [ask_for(one, facts, tier) for tier in tiers]

    found = of_tiers(tiers, asked, [], wanted, placer.snapshot)

    crowd = Crowd(wanted)
    for number in range(sum(each.fits for each in found)):
        placed = placer.place_in(tiers, replace(one, id=f"i{number}"), facts, NOON, crowd)
        assert isinstance(placed, Instance)
        crowd = replace(crowd, instances=(*crowd.instances, placed))
    refused = placer.place_in(tiers, replace(one, id="too many"), facts, NOON, crowd)
    assert isinstance(refused, str)
    assert len(tiers) == 1 or all(tier.name in refused for tier in tiers)


def test_why_not_more_is_said_by_the_rules_of_each_node_and_counted() -> None:
    room = Resources(cpu_milli=2500, memory_mib=8_000)
    cluster = [a_node(name, capacity=room) for name in ("a", "b")]
    snapshot = Snapshot.of([*cluster, a_node("c", capacity=room, schedulable=False)])

    (found,) = of_shape(Ask("", "", cpu_milli=1000), ["public"], snapshot)

    assert [(each.node, each.fits, each.why) for each in found.on] == [
        ("a", 2, "lacks 1 CPU (0.5 free)"),
        ("b", 2, "lacks 1 CPU (0.5 free)"),
        ("c", 0, "is cordoned"),
    ]
    assert found.reasons == ("1 node: is cordoned", "2 nodes: lacks 1 CPU")


def test_nothing_is_held_by_the_question() -> None:
    spec = a_spec(cpu=1)
    spec["cloud"] = {"computing": {"instances": [{"type": "dedicated_resource", "capacity": 1}]}}
    world = a_world(a_node(), a_service(wanted=3), a_version(spec=spec))
    facts, placer = facts_of(json.dumps(spec)), Placer(world)
    one = Instance("", "digits", 1, NOON, resources=facts.resources)
    tiers = placer.tiers(facts)

    (found,) = of_tiers(tiers, [ask_for(one, facts, tiers[0])], [], 3, placer.snapshot)

    assert (found.fits, found.reasons) == (
        1,
        ("public nodes: its capacity of 1 is used up (1 instance uses it)",),
    )
    assert placer.snapshot.held_on("n1") == ()
