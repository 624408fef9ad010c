"""Which group a service is in, and when groups begin and end."""

from dataclasses import replace
from typing import Any

import pytest

from libs.db.changes import Changes
from libs.domain.errors import AlreadyExists, InvalidSpec, NotFound
from libs.domain.records import Service
from libs.domain.states import TrafficState
from libs.domain.traffic import AccessToken, Gateway, Group, MemberRule
from libs.spec import parse_service
from services.scheduler.groups.membership import placed, refuse_taken, with_groups
from services.scheduler.world import World
from tests.support.builders import NOON, a_service, a_spec, a_world
from tests.unit.scheduler.groups.builders import a_group, a_member, a_ramp, a_standalone_member

GROUPING, STANDALONE = TrafficState.GROUPING, TrafficState.STANDALONE
PRIVATE = Gateway("gw-1", NOON, NOON)


def put(world: World, service: Service, **metadata: Any) -> Service:
    return placed(world, service, parse_service(a_spec(service.name, **metadata)).spec)


def groups_in(changes: Changes) -> list[str]:
    return [record.name for record in changes.put if isinstance(record, Group)]


def test_the_first_member_takes_requests_of_the_group_and_further_ones_wait_for_their_release() -> None:
    world = a_world(a_group(), a_member("one"))

    first, second = put(a_world(), a_service("one"), group="shop"), put(world, a_service("two"), group="shop")

    assert (first.group, first.traffic_state) == ("shop", GROUPING)
    assert (second.group, second.traffic_state) == ("shop", STANDALONE)


def test_one_that_joins_where_nobody_answers_takes_requests() -> None:
    world = a_world(a_group(), a_standalone_member("one"), a_member("leaving", deleting=True))

    assert put(world, a_service("two"), group="shop").traffic_state is GROUPING


def test_a_member_that_is_changed_keeps_what_it_takes() -> None:
    member = a_member("one", weight=7)

    assert put(a_world(a_group(), member), member, group="shop") == member


def test_one_that_leaves_its_group_has_nothing_of_it_left() -> None:
    member = a_member("one", weight=7)

    after = put(a_world(a_group(), member), member)

    assert (after.group, after.traffic_state, after.weight) == ("", STANDALONE, -1)


def test_a_group_begins_with_its_first_member_on_its_gateway_with_a_token() -> None:
    world = a_world(PRIVATE)
    service = put(world, a_service("one", revision=0), group="shop", gateway="gw-1")

    changes = with_groups(world, Changes(put=(service,)), NOON)

    (group,) = (record for record in changes.put if isinstance(record, Group))
    assert (group.name, group.gateway, group.kept) == ("shop", "gw-1", False)
    assert len(group.token) > 20
    assert [(e.subject, e.reason) for e in changes.events] == [
        ("one", "GroupJoined"),
        ("shop", "GroupCreated"),
    ]


def test_a_group_ends_with_its_last_member_and_takes_its_tokens_along() -> None:
    group, member = a_group(), a_member("one")
    token = AccessToken("acc-1", "group", "shop", "ci", "value", NOON, revision=1)
    world = a_world(group, member, token)

    changes = with_groups(world, Changes(delete=(member,)), NOON)

    assert changes.delete == (member, group, token)


def test_a_group_that_was_created_by_itself_stays() -> None:
    member = a_member("one")

    changes = with_groups(a_world(a_group(kept=True), member), Changes(delete=(member,)), NOON)

    assert changes.delete == (member,)


def test_two_that_leave_at_once_end_a_group_and_two_that_come_at_once_begin_one() -> None:
    one, two = a_member("one"), a_member("two")
    left = tuple(replace(each, group="", traffic_state=STANDALONE) for each in (one, two))

    ended = with_groups(a_world(a_group(), one, two), Changes(put=left), NOON)
    begun = with_groups(a_world(*left), Changes(put=(one, two)), NOON)

    assert [record.name for record in ended.delete if isinstance(record, Group)] == ["shop"]
    assert groups_in(begun) == ["shop"]


def test_rules_go_with_the_member_that_they_name() -> None:
    rules = (MemberRule("one", header="x-user"), MemberRule("two", cookie="beta"))
    member = a_member("one")
    world = a_world(a_group(rules=rules), member, a_member("two"))

    changes = with_groups(world, Changes(delete=(member,)), NOON)

    (group,) = (record for record in changes.put if isinstance(record, Group))
    assert group.rules == (rules[1],)


def test_a_ramp_goes_with_its_service() -> None:
    member, ramp = a_member("one"), a_ramp("one")

    changes = with_groups(a_world(a_group(), member, ramp), Changes(delete=(member,)), NOON)

    assert ramp in changes.delete


def test_a_change_that_moves_nothing_is_left_as_it_is() -> None:
    member = a_member("one")
    changes = Changes(put=(replace(member, wanted=7),))

    assert with_groups(a_world(a_group(), member), changes, NOON) is changes


def test_the_members_of_a_group_are_on_its_gateway() -> None:
    world = a_world(PRIVATE, a_group(), a_member("one"))

    with pytest.raises(InvalidSpec, match="on gateway 'gw-1'; this one is on 'gateway'"):
        put(world, a_service("two"), group="shop", gateway="gw-1")


def test_the_only_member_takes_its_group_along_to_another_gateway() -> None:
    member = a_member("one")
    world = a_world(PRIVATE, a_group(), member)

    changes = with_groups(world, Changes(put=(put(world, member, group="shop", gateway="gw-1"),)), NOON)

    (group,) = (record for record in changes.put if isinstance(record, Group))
    assert group.gateway == "gw-1"


def test_a_gateway_must_be_there() -> None:
    with pytest.raises(InvalidSpec, match=r"networking.gateway: got 'gw-2', expected .*\(gateway, gw-1\)"):
        put(a_world(PRIVATE), a_service("one"), gateway="gw-2")


@pytest.mark.parametrize("group", ["one", "two", "Shop", "a", "shop.new", "-shop"])
def test_a_group_is_called_like_a_service_and_like_no_service_there_is(group: str) -> None:
    with pytest.raises(InvalidSpec, match=r"metadata\.group"):
        put(a_world(a_service("two")), a_service("one"), group=group)


def test_a_service_cannot_have_the_name_of_a_group() -> None:
    with pytest.raises(AlreadyExists, match="there is a group 'shop'"):
        refuse_taken(a_world(a_group()), "shop")


def test_who_takes_a_group_for_a_service_is_told_its_members() -> None:
    world = a_world(a_group(), a_member("one"), a_member("two"))

    with pytest.raises(NotFound) as refused:
        world.service("shop")

    assert str(refused.value) == (
        "there is no service 'shop': it is a group (`easel group desc shop`, `easel group token shop`); "
        "name one of its members: one, two"
    )
