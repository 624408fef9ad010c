"""Who may be copied to whom, and what deletions take along."""

from dataclasses import replace
from typing import Any

import pytest

from libs.db.changes import Changes
from libs.domain.errors import FailedPrecondition, InvalidRequest, NotFound
from libs.domain.states import SafetyLock
from libs.domain.traffic import Mirror
from services.scheduler.mirrors.rules import MirrorAsked, deleted, mirror_of, put, with_mirrors
from services.scheduler.world import World
from tests.support.builders import NOON, a_service, a_version, a_world, at


def asked(**changes: Any) -> MirrorAsked:
    return replace(MirrorAsked("main", ("shadow",), 10, 0.0), **changes)


def a_mirror(service: str = "main", *targets: str, **changes: Any) -> Mirror:
    return replace(Mirror(service, targets or ("shadow",), 10, NOON, NOON, revision=1), **changes)


def with_services(*names: str, **records: Any) -> World:
    return a_world(*(a_service(name) for name in names), *(a_version(name) for name in names))


def applied(world: World, changes: Changes) -> World:
    world.apply(changes)
    return world


def test_a_mirror_is_made_and_says_what_it_does() -> None:
    world = with_services("main", "shadow")

    changes = put(world, asked(compare=0.01), at(1))

    assert changes.put == (Mirror("main", ("shadow",), 10, at(1), at(1), 10_000),)
    assert [event.why for event in changes.events] == [
        "10 % of the requests are copied to 'shadow', and answers are compared for 1 %"
    ]


def test_the_same_mirror_again_changes_nothing() -> None:
    world = with_services("main", "shadow")
    world.apply(put(world, asked(), NOON))

    assert not put(world, asked(), at(5))


def test_another_ratio_keeps_when_the_mirror_was_made() -> None:
    world = with_services("main", "shadow")
    world.apply(put(world, asked(), NOON))

    changes = put(world, asked(ratio=0), at(5))

    [mirror] = changes.put
    assert isinstance(mirror, Mirror)
    assert (mirror.created_at, mirror.updated_at, mirror.ratio) == (NOON, at(5), 0)
    assert changes.events[0].why == "paused: no request is copied to 'shadow'"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"targets": ()}, "1 to 8 services"),
        ({"targets": tuple(f"s{n}" for n in range(9))}, "1 to 8 services"),
        ({"targets": ("main",)}, "other than the one that is copied"),
        ({"targets": ("shadow", "shadow")}, "each service once"),
        ({"ratio": 101}, "a percentage from 0"),
        ({"compare": 1.5}, "a share from 0.0001 to 1"),
        ({"compare": 0.00001}, "a share from 0.0001 to 1"),
        ({"compare": float("nan")}, "a share from 0.0001 to 1"),
    ],
)
def test_what_cannot_be_mirrored_is_refused_with_a_sentence(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidRequest, match=sentence):
        put(with_services("main", "shadow"), asked(**change), NOON)


def test_service_and_targets_must_be_there() -> None:
    world = with_services("main", "shadow")

    with pytest.raises(NotFound, match="'other'"):
        put(world, asked(service="other"), NOON)
    with pytest.raises(NotFound, match="'other'"):
        put(world, asked(targets=("other",)), NOON)


def test_what_is_being_deleted_is_neither_copied_nor_copied_to() -> None:
    world = a_world(
        a_service("main", deleting=True), a_service("shadow"), a_service("leaving", deleting=True)
    )

    with pytest.raises(FailedPrecondition, match="'main' is being deleted"):
        put(world, asked(), NOON)
    with pytest.raises(FailedPrecondition, match="'leaving' is being deleted"):
        put(world, asked(service="shadow", targets=("leaving",)), NOON)


def test_a_locked_service_keeps_its_mirror_as_it_is() -> None:
    world = a_world(a_service("main", safety_lock=SafetyLock.ALL), a_service("shadow"), a_mirror())

    for change in (lambda: put(world, asked(ratio=50), NOON), lambda: deleted(world, "main", NOON)):
        with pytest.raises(FailedPrecondition, match="is locked"):
            change()


def test_a_deleted_mirror_is_gone_and_says_so() -> None:
    world = with_services("main", "shadow")
    world.apply(put(world, asked(), NOON))

    changes = deleted(world, "main", at(2))

    assert changes.events[0].reason == "MirrorDeleted"
    with pytest.raises(NotFound, match="--to TARGET --ratio N` makes one"):
        mirror_of(applied(world, changes), "main")
    with pytest.raises(NotFound, match=r"has no mirror$"):
        deleted(world, "main", NOON)


def test_a_deleted_target_leaves_the_mirror_to_the_others() -> None:
    gone = a_service("shadow")
    world = a_world(a_service("main"), gone, a_service("other"), a_mirror("main", "shadow", "other"))

    changes = with_mirrors(world, Changes(delete=(gone,)), at(3))

    [mirror] = changes.put
    assert isinstance(mirror, Mirror)
    assert mirror.targets == ("other",)
    assert [event.why for event in changes.events] == ["deleted: 'shadow'; copies go on to 'other'"]


def test_with_its_last_target_a_mirror_ends() -> None:
    gone = a_service("shadow")
    world = a_world(a_service("main"), gone, a_mirror())

    changes = with_mirrors(world, Changes(delete=(gone,)), at(3))

    assert changes.delete == (gone, a_mirror())
    assert changes.events[0].why == "deleted: 'shadow'; it was the last one, so the mirror is gone too"


def test_services_that_go_together_take_their_mirrors_along_once() -> None:
    main, shadow = a_service("main"), a_service("shadow")
    world = a_world(main, shadow, a_service("third"), a_mirror(), a_mirror("third", "main", "shadow"))

    changes = with_mirrors(world, Changes(delete=(main, shadow)), at(3))

    assert not changes.put
    assert sorted(each.service for each in changes.delete if isinstance(each, Mirror)) == ["main", "third"]
