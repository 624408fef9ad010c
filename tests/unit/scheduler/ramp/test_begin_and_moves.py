"""How a ramp begins, and what becomes of the members' weights at its end."""

from typing import Any

import pytest

from libs.db.changes import Changes
from libs.domain.errors import FailedPrecondition, InvalidRequest
from libs.domain.records import Rollout
from libs.domain.states import EventKind, RampPhase, SafetyLock, TrafficMode, TrafficState
from services.scheduler.groups.picture import shares_of
from services.scheduler.ramp.begin import RampAsked, started
from services.scheduler.ramp.decide import Move, Verdict
from services.scheduler.ramp.loop import lost
from services.scheduler.ramp.moves import ended, moved
from services.scheduler.world import World
from tests.support.builders import NOON, a_service, a_world, at
from tests.unit.scheduler.groups.builders import (
    a_group,
    a_member,
    a_ramp,
    a_standalone_member,
    instances_of,
)

PLAN = RampAsked((10, 50), 60, max_error_rate=0.01)


def a_shop(*more: Any, **canary: Any) -> World:
    """A group of two, with a new member that waits for its release."""
    world = a_world(
        a_group(),
        a_member("one"),
        a_member("two"),
        a_standalone_member("canary", **canary),
        *instances_of("one", 1),
        *instances_of("two", 3),
        *instances_of("canary", 2),
    )
    world.apply(Changes(put=more))
    return world


def shares(world: World) -> dict[str, float]:
    return {each.service: round(each.share, 3) for each in shares_of(world, world.group("shop"))}


def on_its_way(steps: int = 0) -> World:
    world = a_shop()
    world.apply(started(world, "canary", PLAN, NOON))
    for _ in range(steps):
        world.apply(moved(world, world.ramps["canary"], Verdict(Move.STEP, "good"), at(60)))
    return world


def test_the_first_step_is_in_force_at_once_and_the_others_share_the_rest_as_before() -> None:
    assert shares(on_its_way()) == {"canary": 0.1, "one": 0.225, "two": 0.675}


def test_a_step_says_from_where_to_where_and_why() -> None:
    world = on_its_way()

    changes = moved(world, world.ramps["canary"], Verdict(Move.STEP, "10 % went well"), at(60))

    assert [(e.reason, e.why) for e in changes.events] == [
        ("RampStepped", "from 10 % to 50 %: 10 % went well")
    ]


def test_a_ramp_that_ends_below_all_stays_there_as_weights() -> None:
    world = on_its_way(steps=1)
    world.apply(moved(world, world.ramps["canary"], Verdict(Move.COMPLETE, "good"), at(120)))

    assert world.group("shop").traffic_mode is TrafficMode.CUSTOMIZED
    assert shares(world) == {"canary": 0.5, "one": 0.125, "two": 0.375}
    assert world.ramps["canary"].phase is RampPhase.COMPLETED


def test_one_that_is_left_alone_is_said_to_have_all_requests() -> None:
    world = on_its_way(1)
    world.apply(Changes(put=tuple(a_member(name, deleting=True) for name in ("one", "two"))))
    verdict = Verdict(Move.COMPLETE, "no other member takes requests of the group any more")

    over = moved(world, world.ramps["canary"], verdict, at(120))

    assert next(event.why for event in over.events).startswith("it has all requests of its group: no other")


def test_a_ramp_that_goes_back_leaves_everything_as_it_was_and_warns() -> None:
    world, before = on_its_way(steps=1), shares(a_shop())
    changes = moved(world, world.ramps["canary"], Verdict(Move.BACK, "5 % failed"), at(70))
    world.apply(changes)

    assert shares(world) == before
    assert world.service("canary").traffic_state is TrafficState.STANDALONE
    assert world.group("shop").traffic_mode is TrafficMode.AUTO
    assert [(e.kind, e.reason, e.why) for e in changes.events] == [
        (EventKind.WARNING, "RampWentBack", "5 % failed")
    ]


def test_somebody_ends_a_ramp_where_it_is_or_where_it_was() -> None:
    there, back = on_its_way(), on_its_way()
    there.apply(ended(there, "canary", False, at(5)))
    back.apply(ended(back, "canary", True, at(5)))

    assert shares(there)["canary"] == 0.1
    assert shares(back)["canary"] == 0
    assert {world.ramps["canary"].phase for world in (there, back)} == {RampPhase.ENDED}
    with pytest.raises(FailedPrecondition, match="on no ramp"):
        ended(there, "canary", False, at(6))


def test_a_verdict_about_a_ramp_that_is_another_by_now_changes_nothing() -> None:
    world = on_its_way()
    old = world.ramps["canary"]
    world.apply(ended(world, "canary", True, at(5)))

    assert not moved(world, old, Verdict(Move.STEP, "good"), at(60))


def test_a_member_that_has_left_its_group_is_not_touched_when_its_ramp_goes_back() -> None:
    world = a_world(a_service("canary", weight=3), a_ramp("canary", before_weight=9))

    changes = moved(world, world.ramps["canary"], Verdict(Move.BACK, "it has left"), NOON)

    assert [record.phase for record in changes.put] == [RampPhase.WENT_BACK]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"steps": ()}, "plan.steps"),
        ({"steps": (5, 5)}, "plan.steps"),
        ({"steps": (50, 25)}, "plan.steps"),
        ({"steps": (0, 5)}, "plan.steps"),
        ({"steps": (5, 101)}, "plan.steps"),
        ({"every_s": 0}, "plan.every"),
        ({"max_error_rate": None}, "max_error_rate, max_p99_increase or both"),
        ({"max_error_rate": 1.5}, "plan.max_error_rate"),
        ({"max_p99_increase": float("nan")}, "plan.max_p99_increase"),
        ({"max_p99_increase": -0.1}, "plan.max_p99_increase"),
        ({"min_requests": 0}, "plan.min_requests"),
    ],
)
def test_a_plan_that_leads_nowhere_is_refused(changes: dict[str, Any], sentence: str) -> None:
    plan: dict[str, Any] = {"steps": (1, 100), "every_s": 60, "max_error_rate": 0.01}

    with pytest.raises(InvalidRequest, match=sentence):
        RampAsked(**{**plan, **changes})


@pytest.mark.parametrize(
    ("world", "sentence"),
    [
        (a_world(a_service("canary")), "in no group"),
        (a_shop(a_ramp("one")), "'one' is on a ramp in group 'shop'"),
        (a_shop(Rollout("canary", 2, 1, NOON)), "is being updated to version 2"),
        (a_shop(safety_lock=SafetyLock.ALL), "locked"),
        (a_shop(a_member("one", safety_lock=SafetyLock.ALL)), "service 'one' is locked"),
        (
            a_world(a_group(), a_member("canary"), a_member("one"), *instances_of("one", 1)),
            "no ready instance",
        ),
        (
            a_world(a_group(), a_member("canary"), *instances_of("canary", 1)),
            "no other member of group 'shop' takes requests",
        ),
    ],
)
def test_who_cannot_be_on_a_ramp_is_told_why(world: World, sentence: str) -> None:
    with pytest.raises(FailedPrecondition, match=sentence):
        started(world, "canary", PLAN, NOON)


@pytest.mark.parametrize(
    ("canary", "rollout", "sentence"),
    [
        ({"deleting": True}, None, "it is being deleted"),
        ({"stopped": True}, None, "it was stopped"),
        ({"wanted": 0}, None, "it was stopped"),
        ({"group": "other"}, None, "it has left group 'shop'"),
        ({}, Rollout("canary", 2, 1, at(5)), "it was updated to version 2"),
        ({}, Rollout("canary", 1, 2, at(5), because="it crashed"), "it went back to version 1 by itself"),
    ],
)
def test_what_becomes_of_a_member_ends_its_ramp(
    canary: dict[str, Any], rollout: Rollout | None, sentence: str
) -> None:
    world = a_world(a_member("canary", **canary), *((rollout,) if rollout else ()))

    assert lost(world, a_ramp("canary")).startswith(sentence)


@pytest.mark.parametrize(
    "rollout",
    [Rollout("canary", 2, 1, at(-60), finished_at=at(-5)), Rollout("canary", 2, 1, at(5), finished_at=at(5))],
)
def test_an_update_from_before_and_one_that_replaced_nothing_do_not(rollout: Rollout) -> None:
    assert not lost(a_world(a_member("canary"), rollout), a_ramp("canary"))
