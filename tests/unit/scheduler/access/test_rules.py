"""Access tokens: several of an owner, with names, an end, and new values."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from libs.db.changes import Changes
from libs.domain.errors import AlreadyExists, EaselError, FailedPrecondition, InvalidRequest, NotFound
from libs.domain.states import SafetyLock
from libs.domain.traffic import AccessToken, Group
from services.scheduler.access import rules
from services.scheduler.access.rules import MOST_TOKENS, Owner, created, deleted, expired, rotated, tokens_of
from services.scheduler.admin.updating import UpdateAsk, changes_of, decide_update
from services.scheduler.reconcile.drain import Unrouted
from services.scheduler.reconcile.placing import Placer
from services.scheduler.reconcile.turn import Turn
from services.scheduler.world import World
from tests.support.builders import NOON, a_service, a_spec, a_version, a_world, at

DIGITS = Owner("service", "digits")
HOUR = timedelta(hours=1)


def a_token(name: str, **changes: object) -> AccessToken:
    made = AccessToken(f"acc-{name}", "service", "digits", name, f"value-of-{name}", NOON, revision=1)
    return replace(made, **changes)  # type: ignore[arg-type]


def a_deployment(*tokens: AccessToken) -> World:
    spec = {**a_spec(), "token": "secret"}
    return a_world(a_service(), a_version(spec=spec), Group("lab", "group-token", NOON, NOON), *tokens)


def values(world: World, owner: Owner = DIGITS) -> dict[str, str]:
    return {each.name: each.value for each in tokens_of(world, owner)}


def rotate(world: World, token_id: str, overlap: timedelta = HOUR) -> None:
    world.apply(rotated(world, token_id, overlap, NOON).changes)


def test_a_service_and_a_group_begin_with_a_first_token() -> None:
    world = a_deployment()

    assert values(world) == {"default": "secret"}
    assert values(world, Owner("group", "lab")) == {"default": "group-token"}


def test_a_further_token_opens_beside_the_first_until_its_end() -> None:
    world = a_deployment()
    token = created(world, DIGITS, "partner", "", HOUR, NOON)
    world.apply(rules.creation(token, NOON))

    assert set(values(world)) == {"default", "partner"}
    assert not expired(world, at(3599))
    gone = expired(world, at(3600))
    assert (gone.delete, [event.reason for event in gone.events]) == ((token,), ["AccessTokenExpired"])


@pytest.mark.parametrize(
    ("name", "value", "valid_for", "refusal"),
    [
        ("", "", None, InvalidRequest),
        ("two words", "", None, InvalidRequest),
        ("n", "short", None, InvalidRequest),
        ("n", "with a space in it", None, InvalidRequest),
        ("n", "", timedelta(), InvalidRequest),
        ("n", "", timedelta(days=4000), InvalidRequest),
        ("partner", "", None, AlreadyExists),
        ("default", "", None, AlreadyExists),
        ("n", "value-of-partner", None, AlreadyExists),
    ],
)
def test_what_is_no_further_token_is_refused_without_its_value(
    name: str, value: str, valid_for: timedelta | None, refusal: type[EaselError]
) -> None:
    world = a_deployment(a_token("partner"))

    with pytest.raises(refusal) as refused:
        created(world, DIGITS, name, value, valid_for, NOON)
    assert not value or value not in str(refused.value)


def test_an_owner_has_a_bounded_number_of_tokens() -> None:
    world = a_deployment(*(a_token(f"n{n}") for n in range(MOST_TOKENS - 1)))

    with pytest.raises(FailedPrecondition, match="delete one first"):
        created(world, DIGITS, "more", "", None, NOON)


def test_a_rotated_name_has_a_new_value_and_the_old_one_opens_for_the_overlap() -> None:
    world = a_deployment(a_token("partner"))
    rotate(world, "acc-partner")

    now = values(world)
    assert now["partner-before"] == "value-of-partner" != now["partner"]
    assert [t.name for t in tokens_of(world, DIGITS) if t.expires_at] == ["partner-before"]
    assert [t.name for t in expired(world, at(3600)).delete if isinstance(t, AccessToken)] == [
        "partner-before"
    ]
    rotate(world, "acc-partner")
    assert set(values(world)) == {"default", "partner", "partner-before", "partner-before-2"}


def test_a_rotation_without_overlap_ends_the_old_value_at_once() -> None:
    world = a_deployment(a_token("partner"))
    rotate(world, "acc-partner", timedelta())

    assert set(values(world)) == {"default", "partner"}
    assert values(world)["partner"] != "value-of-partner"


def test_an_overlap_gives_no_token_more_time_than_it_had() -> None:
    world = a_deployment(a_token("partner", expires_at=at(60)))

    assert rotated(world, "acc-partner", HOUR, NOON).before.expires_at == at(60)


def test_a_services_first_token_is_rotated_in_every_version() -> None:
    world = a_deployment()
    world.apply(
        changes_of(decide_update(world, UpdateAsk("digits", '{"metadata": {"cpu": 2}}'), NOON), "", NOON)
    )
    rotate(world, "service:digits")

    new = world.services["digits"].token
    assert values(world) == {"default": new, "default-before": "secret"}
    assert {json.loads(v.spec_json)["token"] for v in world.versions["digits"].values()} == {new}
    back = decide_update(world, UpdateAsk("digits", to_version=1), NOON)
    assert back.after.token == new


def test_a_groups_first_token_is_rotated() -> None:
    world = a_deployment()
    rotate(world, "group:lab")

    now = values(world, Owner("group", "lab"))
    assert now["default-before"] == "group-token" != now["default"] == world.groups["lab"].token


def test_a_first_token_is_not_deleted_and_others_are() -> None:
    world = a_deployment(a_token("partner"))

    with pytest.raises(FailedPrecondition, match="easel access rotate service:digits"):
        deleted(world, "service:digits", NOON)
    world.apply(deleted(world, "acc-partner", NOON))
    assert set(values(world)) == {"default"}


def test_a_locked_service_keeps_its_tokens() -> None:
    world = a_deployment(a_token("partner"))
    world.apply(Changes(put=(replace(world.services["digits"], safety_lock=SafetyLock.ALL),)))

    for attempt in (
        lambda: created(world, DIGITS, "n", "", None, NOON),
        lambda: rotated(world, "acc-partner", HOUR, NOON),
        lambda: deleted(world, "acc-partner", NOON),
    ):
        with pytest.raises(FailedPrecondition, match="locked"):
            attempt()


def test_a_services_tokens_go_with_it_so_that_they_open_no_other_of_its_name() -> None:
    world = a_deployment(a_token("partner"))
    world.apply(Changes(put=(replace(world.service("digits"), deleting=True),)))

    turn = Turn(world, Placer(world), lambda _: Unrouted(), HOUR, NOON)
    world.apply(turn.changes(["digits"]))

    assert (world.services, world.access_tokens) == ({}, {})


def test_a_rotation_that_would_keep_more_than_the_bound_is_refused_unless_it_keeps_nothing() -> None:
    world = a_deployment(*(a_token(f"n{n}") for n in range(MOST_TOKENS - 1)))

    with pytest.raises(FailedPrecondition, match="--overlap 0s"):
        rotate(world, DIGITS.first_id)
    rotate(world, DIGITS.first_id, timedelta())

    assert len(values(world)) == MOST_TOKENS


def test_no_event_holds_a_value() -> None:
    world = a_deployment(a_token("partner"))
    made = rules.creation(created(world, DIGITS, "more", "", HOUR, NOON), NOON)
    told = (*made.events, *rotated(world, "acc-partner", HOUR, NOON).changes.events)

    assert not [event for event in told for t in world.access_tokens.values() if t.value in event.why]


@pytest.mark.parametrize(
    ("token_id", "sentence"),
    [
        ("group:nope", "there is no group 'nope'"),
        ("service:nope", "there is no service 'nope'"),
        ("acc-nope", "there is no access token 'acc-nope'"),
    ],
)
def test_what_a_token_would_open_is_what_is_missing(token_id: str, sentence: str) -> None:
    with pytest.raises(NotFound, match=f"^{sentence}$"):
        rules.token_by_id(a_deployment(), token_id)


def test_a_length_is_refused_as_people_write_it() -> None:
    with pytest.raises(InvalidRequest, match=r"^valid_for: got 4000d, expected more than 0"):
        created(a_deployment(), DIGITS, "partner", "", timedelta(days=4000), NOON)
