"""How many instances a service is to have, beside the bounds of its autoscaler."""

import json
from typing import Any

import pytest

from libs.db.changes import Changes
from libs.domain.errors import InvalidRequest
from libs.domain.records import Service
from libs.domain.scaling import Autoscaler
from libs.spec import parse_service
from services.scheduler.scaling.sizes import first_size, scaled_by_hand, size_asked
from tests.support.builders import NOON, a_service, a_spec, a_version, a_world, at

QPS = {"scaleStrategies": [{"metricName": "qps", "threshold": 10}]}


def wanted(changes: Changes) -> int | None:
    return next((each.wanted for each in changes.put if isinstance(each, Service)), None)


def a_policy(**document: Any) -> Autoscaler:
    return Autoscaler("digits", json.dumps({**QPS, **document}, sort_keys=True), NOON, NOON, revision=1)


def test_the_first_size_is_within_the_bounds() -> None:
    def size(instances: int) -> int:
        document = {**a_spec(instance=instances), "autoscaler": {"min": 2, "max": 4, **QPS}}
        return first_size(parse_service(document).spec)

    assert [size(0), size(3), size(9)] == [2, 3, 4]


def test_a_size_by_hand_says_who_may_change_it() -> None:
    world = a_world(a_service(), a_version(), a_policy(max=4))

    changes = scaled_by_hand(world, world.services["digits"], 4, "", (), at(1))

    assert wanted(changes) == 4
    (event,) = changes.events
    assert event.why == "scaled from 1 to 4 instances by hand; its autoscaler may change it again"
    assert event.details == {"policy": "user", "before": "1", "after": "4"}


def refused_size(instances: int, **policy: int) -> str:
    world = a_world(a_service(wanted=2), a_version(), a_policy(**policy))
    with pytest.raises(InvalidRequest) as refused:
        scaled_by_hand(world, world.services["digits"], instances, "", (), at(1))
    return str(refused.value)


def test_a_size_by_hand_beyond_the_bounds_is_refused_with_the_way_to_move_them() -> None:
    assert refused_size(9, max=4) == (
        "instances: got 9, expected 1 to 4, within which its autoscaler keeps it; "
        "`easel autoscale digits -D max=9` moves them"
    )
    assert "`easel autoscale digits -D min=1` moves them" in refused_size(1, min=2)
    assert refused_size(0).endswith(
        "`easel autoscale digits -D min=0` moves them and lets it sleep, `easel stop digits` stops it"
    )


def test_a_service_that_may_sleep_is_put_to_sleep_by_hand() -> None:
    world = a_world(a_service(wanted=2), a_version(), a_policy(min=0))

    assert wanted(scaled_by_hand(world, world.services["digits"], 0, "", (), at(1))) == 0


def test_a_file_that_says_what_it_said_before_leaves_the_size_to_the_autoscaler() -> None:
    stored = a_version(spec={**a_spec(instance=2), "autoscaler": {**QPS, "max": 8}})
    service = a_service(wanted=7)
    world = a_world(service, stored, a_policy(max=8))

    def size(instances: int, replaces: bool) -> int:
        spec = parse_service({**a_spec(instance=instances), "autoscaler": {**QPS, "max": 8}}).spec
        return size_asked(world, service, spec, stored, replaces)

    assert size(2, replaces=True) == 7
    assert size(2, replaces=False) == 2
    assert size(20, replaces=True) == 8
