"""What can be done to groups and with their members' weights."""

from dataclasses import replace
from typing import Any

import pytest

from libs.domain.errors import AlreadyExists, FailedPrecondition, InvalidRequest, NotFound
from libs.domain.records import Service
from libs.domain.states import SafetyLock, TrafficMode, TrafficState
from libs.domain.traffic import Group, MemberRule
from services.scheduler.groups.rules import GroupChange, created, group_deleted, released, updated
from services.scheduler.world import World
from tests.support.builders import NOON, a_service, a_world
from tests.unit.scheduler.groups.builders import a_group, a_member, a_ramp, a_standalone_member

CUSTOMIZED = TrafficMode.CUSTOMIZED


def stored(world: World, changes: Any) -> World:
    world.apply(changes)
    return world


def test_a_group_that_is_created_is_kept_and_has_a_token() -> None:
    (group,) = created(a_world(), "shop", CUSTOMIZED, {"team": "web"}, "", NOON).put

    assert isinstance(group, Group)
    assert (group.kept, group.gateway, dict(group.labels)) == (True, "gateway", {"team": "web"})
    assert group.token


@pytest.mark.parametrize(
    ("name", "refused"),
    [("Shop", InvalidRequest), ("digits", AlreadyExists), ("taken", AlreadyExists)],
)
def test_a_group_has_a_name_of_its_own(name: str, refused: type[Exception]) -> None:
    with pytest.raises(refused):
        created(a_world(a_service(), a_group("taken")), name, TrafficMode.AUTO, {}, "", NOON)


def test_a_group_is_created_on_a_gateway_that_is_there() -> None:
    with pytest.raises(NotFound):
        created(a_world(), "shop", TrafficMode.AUTO, {}, "gw-9", NOON)


def test_an_update_changes_what_it_names() -> None:
    world = a_world(a_group(labels={"team": "web", "old": "1"}, sticky_cookie="seat"), a_member("one"))
    rules = (MemberRule("one", header="X-Tester"),)
    change = GroupChange(labels={"old": ""}, sticky_header="X-User", rules=rules)

    after = stored(world, updated(world, "shop", change, NOON)).group("shop")

    assert (dict(after.labels), after.sticky_header, after.sticky_cookie) == (
        {"team": "web"},
        "x-user",
        "seat",
    )
    assert after.rules == (MemberRule("one", header="x-tester"),)


@pytest.mark.parametrize(
    "rule",
    [
        MemberRule("elsewhere", header="x-user"),
        MemberRule("one"),
        MemberRule("one", header="x-user", cookie="user"),
        MemberRule("one", header="no header"),
        MemberRule("one", cookie="a=b"),
        MemberRule("one", header="x-user", value="line\nbreak"),
        MemberRule("one", header="Authorization", value="s3cret"),
        MemberRule("one", header="cookie"),
    ],
)
def test_a_rule_names_a_member_and_either_a_header_or_a_cookie(rule: MemberRule) -> None:
    with pytest.raises(InvalidRequest, match=r"rules\[0\]") as refused:
        updated(a_world(a_group(), a_member("one")), "shop", GroupChange(rules=(rule,)), NOON)

    assert "s3cret" not in str(refused.value)


def test_a_group_with_members_is_deleted_only_with_them() -> None:
    world = a_world(a_group(kept=True), a_member("one"), a_standalone_member("two"))

    with pytest.raises(FailedPrecondition, match=r"members \(one, two\)"):
        group_deleted(world, "shop", False, NOON)
    after = stored(world, group_deleted(world, "shop", True, NOON))

    assert all(member.deleting for member in after.members_of("shop"))
    assert not after.group("shop").kept
    assert not group_deleted(after, "shop", True, NOON).events


def test_a_locked_member_keeps_its_group_and_all_others() -> None:
    locked = a_member("two", safety_lock=SafetyLock.DANGEROUS)

    with pytest.raises(FailedPrecondition, match="service 'two' is locked"):
        group_deleted(a_world(a_group(), a_member("one"), locked), "shop", True, NOON)


def test_a_group_without_members_is_gone_at_once() -> None:
    world = a_world(a_group(kept=True))

    stored(world, group_deleted(world, "shop", False, NOON))

    assert not world.groups


def test_a_weight_makes_all_go_by_weights_and_a_state_alone_does_not() -> None:
    world = a_world(a_group(), a_member("one"), a_standalone_member("two"))

    stored(world, released(world, "two", TrafficState.GROUPING, None, NOON))
    assert world.group("shop").traffic_mode is TrafficMode.AUTO
    assert world.service("two").traffic_state is TrafficState.GROUPING

    stored(world, released(world, "two", None, 10, NOON))
    assert world.group("shop").traffic_mode is CUSTOMIZED
    assert world.service("two").weight == 10


@pytest.mark.parametrize(
    ("state", "weight", "after"),
    [
        (None, 10, TrafficState.GROUPING),
        (None, -1, TrafficState.GROUPING),
        (None, 0, TrafficState.STANDALONE),
        (TrafficState.STANDALONE, 10, TrafficState.STANDALONE),
    ],
)
def test_a_weight_alone_lets_a_standalone_member_take_requests(
    state: TrafficState | None, weight: int, after: TrafficState
) -> None:
    world = a_world(a_group(), a_member("one"), a_standalone_member("two"))

    changes = released(world, "two", state, weight, NOON)

    assert stored(world, changes).service("two").traffic_state is after
    said = after is TrafficState.GROUPING
    assert changes.events[0].why.endswith("; the weight made it grouping") is said


def test_a_release_says_what_the_member_takes_now_and_a_repeated_one_says_nothing() -> None:
    world = a_world(a_group(), a_standalone_member("two"))

    first = released(world, "two", TrafficState.GROUPING, 10, NOON)
    again = released(stored(world, first), "two", TrafficState.GROUPING, 10, NOON)

    (event,) = first.events
    assert (event.reason, event.why) == (
        "ServiceReleased",
        "it takes requests of group 'shop', with weight 10",
    )
    assert not again


@pytest.mark.parametrize("weight", [-2, 1001])
def test_a_weight_is_between_minus_one_and_a_thousand(weight: int) -> None:
    with pytest.raises(InvalidRequest, match="weight"):
        released(a_world(a_group(), a_member("one")), "one", None, weight, NOON)


@pytest.mark.parametrize(
    ("service", "sentence"),
    [
        (a_service("one"), "in no group"),
        (a_member("one", safety_lock=SafetyLock.ALL), "locked"),
        (a_member("one", deleting=True), "being deleted"),
    ],
)
def test_what_cannot_be_released_says_why(service: Service, sentence: str) -> None:
    with pytest.raises(FailedPrecondition, match=sentence):
        released(a_world(a_group(), service), "one", None, 5, NOON)


def test_nothing_is_released_while_a_ramp_is_under_way_and_the_refusal_says_how_to_end_it() -> None:
    world = a_world(a_group(), a_member("one"), a_member("canary"), a_ramp("canary"))

    with pytest.raises(FailedPrecondition, match="easel release canary --end"):
        released(world, "one", None, 5, NOON)
    with pytest.raises(FailedPrecondition, match="easel release canary --end"):
        updated(world, "shop", GroupChange(traffic_mode=CUSTOMIZED), NOON)
    assert updated(world, "shop", GroupChange(sticky_cookie="seat"), NOON)


def test_a_ramp_of_another_group_stands_in_nobodys_way() -> None:
    elsewhere = replace(a_ramp("canary"), group="before")
    world = a_world(a_group(), a_member("one"), a_member("canary"), elsewhere)

    assert released(world, "one", None, 5, NOON)
