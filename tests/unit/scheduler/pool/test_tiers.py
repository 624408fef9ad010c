"""Which nodes a service may use, in which order."""

import json
from typing import Any

import pytest

from libs.domain.records import Node
from libs.spec import parse_service
from services.scheduler.pool.tiers import Tier, in_force, rank, tiers_of, used_by_tier, used_up
from tests.support.builders import a_node, a_spec

SMALL, LARGE = {"type": "ecs.small"}, {"type": "ecs.large"}
OWN = {"type": "dedicated_resource"}
SPOT = {"type": "ecs.spot", "spot_price_limit": 0.5}


def tiers(*instances: dict[str, Any], instance_type: str = "", **metadata: Any) -> tuple[Tier, ...]:
    computing = {"instances": list(instances)} if instances else {}
    if instance_type:
        computing["instance_type"] = instance_type  # type: ignore[assignment]
    spec = {**a_spec(**metadata), "cloud": {"computing": computing}}
    return tiers_of(parse_service(json.dumps(spec)).spec)


def names(*instances: dict[str, Any], **metadata: Any) -> list[str]:
    return [tier.name for tier in tiers(*instances, **metadata)]


@pytest.mark.parametrize(
    ("instances", "metadata", "order"),
    [
        ((), {}, ["public nodes"]),
        ((), {"instance_type": "ecs.small"}, ["ecs.small"]),
        ((LARGE, SMALL), {}, ["ecs.large", "ecs.small"]),
        ((SPOT, SMALL), {}, ["spot ecs.spot up to 0.5", "ecs.small"]),
        ((), {"resource": "lab"}, ["own nodes (lab)"]),
        ((), {"resource": "lab", "resource_burstable": True}, ["own nodes (lab)", "public nodes"]),
        (
            (LARGE, SMALL),
            {"resource": "lab", "resource_burstable": True},
            ["own nodes (lab)", "ecs.large", "ecs.small"],
        ),
        (
            (SMALL, OWN, LARGE),
            {"resource": "lab", "resource_burstable": True},
            ["ecs.small", "own nodes (lab)", "ecs.large"],
        ),
        ((OWN, SMALL), {"resource": "lab"}, ["own nodes (lab)", "ecs.small"]),
        ((SMALL, OWN), {}, ["ecs.small", "public nodes"]),
    ],
)
def test_the_order_is_what_service_json_says(
    instances: tuple[dict[str, Any], ...], metadata: dict[str, Any], order: list[str]
) -> None:
    assert names(*instances, **metadata) == order


def test_where_no_public_node_says_its_type_a_type_stands_for_the_public_nodes() -> None:
    asked = tiers(LARGE, {**SMALL, "capacity": 1}, SPOT)

    assert [tier.name for tier in in_force(asked, typed=False)] == ["public nodes", "spot ecs.spot up to 0.5"]
    assert in_force(asked, typed=True) == asked


def spot_node(price: str, **labels: str) -> Node:
    return a_node(labels={"easel/instance-type": "ecs.spot", "easel/price": price, "easel/spot": "true"})


def test_a_node_belongs_to_the_first_tier_that_takes_it() -> None:
    asked = tiers(SPOT, SMALL, OWN, resource="lab", resource_burstable=True)

    assert rank(asked, spot_node("0.5")) == 0
    assert rank(asked, a_node(labels={"easel/instance-type": "ecs.small"})) == 1
    assert rank(asked, a_node(resource_group="lab")) == 2
    assert rank(asked, spot_node("0.51")) == rank(asked, a_node()) == rank(asked, None) == 3


def test_spot_nodes_are_used_only_where_that_is_asked_for() -> None:
    (public,), (own,) = tiers(), tiers(resource="lab")

    assert not public.takes(a_node(labels={"easel/spot": "true"}))
    assert own.takes(a_node(resource_group="lab", labels={"easel/spot": "true"}))


def test_a_cap_counts_the_instances_of_a_tier() -> None:
    first, second = asked = tiers({**SMALL, "capacity": "50%"}, LARGE)
    small, large = (a_node(labels={"easel/instance-type": t["type"]}) for t in (SMALL, LARGE))

    assert used_by_tier(asked, [small, large, large, None], wanted=3) == [1, 2]
    assert used_up(first, 1, wanted=3) == ""
    assert used_up(first, 2, 3) == "ecs.small: its capacity of 50% is used up (2 instances use it)"
    assert used_up(second, 99, 3) == ""


def test_what_a_full_tier_cannot_have_is_the_next_ones_that_takes_the_node() -> None:
    asked = tiers({**SMALL, "capacity": 1}, {**SMALL, "capacity": 2}, instance_type="")
    small = a_node(labels={"easel/instance-type": "ecs.small"})

    assert used_by_tier(asked, [small] * 4, wanted=9) == [1, 3]
