"""What a plan of an update says of policies before it is made."""

import json
from typing import Any

from libs.domain.scaling import Autoscaler, Cronscaler
from services.scheduler.admin.services import Foreseen, Services
from services.scheduler.admin.updating import UpdateAsk
from services.scheduler.ledger import Ledger
from services.scheduler.world import World
from tests.support.builders import NOON, a_service, a_spec, a_version, a_world
from tests.support.memory_store import MemoryStore

QPS = {"scaleStrategies": [{"metricName": "qps", "threshold": 10}]}
SCHEDULE = {"ScaleJobs": [{"Name": "day", "Schedule": "0 0 8 * * *", "TargetSize": 5}]}
IN_PLACE = "version 2 takes the instances over as they are: nothing is replaced"


def foreseen(world: World, to_version: int = 0, **change: Any) -> tuple[str, ...]:
    services = Services(Ledger(MemoryStore(), world), lambda: NOON, lambda: "")
    asked = UpdateAsk("digits", "" if to_version else json.dumps(change), to_version=to_version)
    told: Foreseen = services.foresee(asked)
    return told.steps


def a_deployment(wanted: int = 3, **parts: Any) -> World:
    policies = [
        kind("digits", json.dumps(parts[key], sort_keys=True), NOON, NOON, revision=1)
        for key, kind in (("autoscaler", Autoscaler), ("cronScaler", Cronscaler))
        if key in parts
    ]
    service = a_service(wanted=wanted, stable_version=1)
    return a_world(
        service, a_version(spec={**a_spec(instance=wanted), "token": "secret", **parts}), *policies
    )


def test_a_plan_says_that_policies_are_set() -> None:
    assert foreseen(a_deployment(), autoscaler={**QPS, "max": 7}, cronScaler=SCHEDULE) == (
        IN_PLACE,
        "it gets an autoscaler: 1 to 7 instances, by qps 10",
        "it gets a schedule: day to 5",
    )


def test_a_plan_says_what_policies_change_from_also_where_that_was_set_by_hand() -> None:
    world = a_deployment(autoscaler=QPS, cronScaler=SCHEDULE)
    by_hand = Autoscaler("digits", json.dumps({**QPS, "max": 9}), NOON, NOON, revision=2)
    world.autoscalers["digits"] = by_hand
    night = {"ScaleJobs": [{"Name": "night", "Schedule": "0 0 20 * * *", "TargetSize": 1}]}

    assert foreseen(world, autoscaler={"max": 7}, cronScaler=night) == (
        IN_PLACE,
        "its autoscaler changes to 1 to 7 instances, by qps 10, from 1 to 9 instances, by qps 10",
        "its schedule changes to night to 1, from day to 5",
    )
    assert foreseen(a_deployment(autoscaler=QPS), autoscaler={"behavior": {"measureSeconds": 60}}) == (
        IN_PLACE,
        "its autoscaler changes: still 1 to 10 instances, by qps 10",
    )


def test_a_plan_says_that_policies_are_removed() -> None:
    world = a_deployment(autoscaler=QPS, cronScaler=SCHEDULE)

    assert foreseen(world, autoscaler=None, cronScaler=None) == (
        IN_PLACE,
        "its autoscaler is removed: 1 to 10 instances, by qps 10",
        "its schedule is removed: day to 5",
    )


def test_a_plan_says_which_bound_holds_the_number_of_instances() -> None:
    assert foreseen(a_deployment(wanted=3), autoscaler={**QPS, "max": 2}) == (
        f"{IN_PLACE}; the number of instances changes from 3 to 2",
        "it gets an autoscaler: 1 to 2 instances, by qps 10",
        "its autoscaler allows at most 2 instances: there will be 2, not 3",
    )
    assert foreseen(a_deployment(autoscaler={**QPS, "min": 2}), metadata={"instance": 1}) == (
        "only the number of instances changes, from 3 to 2: nothing is replaced",
        "its autoscaler allows at least 2 instances: there will be 2, not 1",
    )


def test_a_plan_that_leaves_policies_alone_says_nothing_of_them() -> None:
    world = a_deployment(autoscaler=QPS)

    assert foreseen(world, token="another") == (IN_PLACE,)
    assert foreseen(world, metadata={"instance": 4}) == (
        "only the number of instances changes, from 3 to 4: nothing is replaced",
    )


def test_a_plan_of_a_way_back_says_which_policy_is_refused() -> None:
    odd = a_version(number=2, spec={**a_spec(), "autoscaler": {"strategies": {"queue length": 5}}})
    world = a_deployment(autoscaler=QPS)
    world.versions["digits"][2] = odd

    told = foreseen(world, to_version=2)

    assert any(each.startswith("what it had before stays in force: autoscaler.strategies") for each in told)
