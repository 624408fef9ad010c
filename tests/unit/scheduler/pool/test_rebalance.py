"""Who moves to better nodes, and how many at once."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from libs.domain.records import Instance, Node
from libs.domain.states import InstanceState
from services.scheduler.pool.rebalance import (
    MOST_PROBES,
    SLOWEST,
    Outcome,
    Pace,
    Probe,
    moves,
    outcome,
    stays,
    why_moved,
)
from services.scheduler.pool.tiers import Tier
from tests.support.builders import NOON, a_node, a_ready_instance, an_instance, at

OWN, PUBLIC = Tier("lab", own=True), Tier("public")
SPOT = Tier("public", instance_type="ecs.spot", spot_limit=0.5)
MINUTE = timedelta(minutes=1)


def nodes(price: str = "0.4") -> dict[str, Node]:
    labels = {"easel/instance-type": "ecs.spot", "easel/price": price, "easel/spot": "true"}
    return {
        "own": a_node("own", resource_group="lab"),
        "public": a_node("public"),
        "spot": a_node("spot", labels=labels),
    }


def on(*names: str) -> list[Instance]:
    return [a_ready_instance(f"digits-{name}", node=name, created_at=at(n)) for n, name in enumerate(names)]


def test_what_is_on_a_lower_tier_moves_to_any_better_one_the_lowest_first() -> None:
    found = moves((OWN, PUBLIC, SPOT), on("own", "public", "spot"), nodes(), rebalancing=True)

    assert [(move.instance.id, move.tiers) for move in found] == [
        ("digits-spot", (OWN, PUBLIC)),
        ("digits-public", (OWN,)),
    ]
    assert why_moved(found[1], nodes()["own"], (OWN, PUBLIC, SPOT)) == (
        "moves from public nodes to own nodes (lab), which have room"
    )


def test_nothing_moves_where_that_is_not_asked_for() -> None:
    assert not moves((OWN, PUBLIC), on("public"), nodes(), rebalancing=False)


def test_a_spot_node_that_became_too_dear_is_left_also_where_rebalancing_is_not_asked_for() -> None:
    dear, cheap = nodes(price="0.6"), nodes(price="0.5")

    (found,) = moves((SPOT, PUBLIC), on("spot"), dear, rebalancing=False)

    assert (found.tiers, found.leaves) == ((SPOT, PUBLIC), "node spot, whose price has risen,")
    assert not moves((SPOT, PUBLIC), on("spot"), cheap, rebalancing=False)


def test_probes_double_while_all_find_room_and_begin_anew_when_one_does_not() -> None:
    pace, seen = SLOWEST, []
    for placed in (1, 2, 4, 7, 1):
        seen.append(pace.probes)
        pace = pace.after(pace.probes, placed)

    assert seen == [1, 2, 4, 8, 1]
    assert pace == Pace(2)


@given(st.lists(st.integers(0, 3)))
def test_there_is_always_a_probe_and_never_more_than_the_most(missing: list[int]) -> None:
    pace = SLOWEST
    for each in missing:
        pace = pace.after(pace.probes, max(0, pace.probes - each))

        assert 1 <= pace.probes <= MOST_PROBES


def test_fewer_to_move_than_might_does_not_hasten() -> None:
    assert Pace(4).after(tried=2, placed=2) == Pace(4)


def test_after_a_probe_that_did_not_come_up_there_is_a_rest() -> None:
    pace = Pace(8).failed(NOON, 10 * MINUTE)

    assert (pace.probes, pace.may_go(at(599)), pace.may_go(at(600))) == (1, False, True)


def fate(new: Instance | None, old: Instance | None, seconds: float = 1) -> Outcome:
    known = {each.id: each for each in (new, old) if each is not None}
    return outcome(Probe("digits-new", "digits-old", "moves"), known.get, MINUTE, at(seconds))


def test_a_probe_serves_or_is_done_and_has_failed_when_it_does_not_come_up() -> None:
    old = a_ready_instance("digits-old", replace_why="moves")
    new = an_instance("digits-new", state=InstanceState.STARTING, node="own")

    assert fate(a_ready_instance("digits-new"), old) is Outcome.SERVES
    assert fate(new, old) is Outcome.WAITS
    assert fate(new, old, seconds=60) is Outcome.FAILED
    assert fate(replace(new, state=InstanceState.CRASH_LOOP_BACK_OFF), old) is Outcome.FAILED
    assert fate(replace(new, state=InstanceState.LOST), old) is Outcome.FAILED
    assert fate(None, old) is Outcome.FAILED
    assert fate(new, None) is Outcome.DONE
    assert fate(new, replace(old, state=InstanceState.TERMINATING)) is Outcome.DONE
    assert stays(old).replace_why == ""


def test_what_a_user_has_deleted_meanwhile_is_no_more_the_probes() -> None:
    old = a_ready_instance("digits-old", replace_why="deleted by hand")

    assert fate(None, old) is Outcome.DONE
