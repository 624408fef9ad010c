"""What a release without groups has stored is placed by the first start of one that has them."""

import json
from dataclasses import replace

from libs.domain.records import Service, ServiceVersion
from libs.domain.states import TrafficState
from services.scheduler.groups.upgrade import misplaced, placed_anew
from services.scheduler.world import World
from tests.support.builders import NOON, a_service, a_spec, a_version, a_world, at


def stored(name: str, seconds: float, **metadata: object) -> tuple[Service, ServiceVersion]:
    service = replace(a_service(name), created_at=at(seconds))
    return service, a_version(name, 1, {**a_spec(name, **metadata), "token": "secret"})


def start(world: World) -> None:
    for name in misplaced(world):
        world.apply(placed_anew(world, name, NOON))


def test_services_join_the_groups_that_they_name_and_the_oldest_takes_the_requests() -> None:
    world = a_world(*stored("newer", 2, group="shop"), *stored("older", 1, group="shop"), *stored("alone", 3))

    start(world)

    states = {name: (each.group, each.traffic_state) for name, each in world.services.items()}
    assert states == {
        "newer": ("shop", TrafficState.STANDALONE),
        "older": ("shop", TrafficState.GROUPING),
        "alone": ("", TrafficState.STANDALONE),
    }
    assert list(world.groups) == ["shop"]
    assert misplaced(world) == []


def test_what_cannot_be_read_and_what_is_leaving_stay_where_they_are() -> None:
    odd, version = stored("odd", 1, group="shop")
    leaving, its = stored("leaving", 1, group="shop")
    world = a_world(odd, replace(version, spec_json=json.dumps({})), replace(leaving, deleting=True), its)

    assert misplaced(world) == []
