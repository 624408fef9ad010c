"""What clients that connect directly are told."""

from services.gateway.front.discovery import endpoints
from services.gateway.routes import DirectEndpoint, Group, GroupMember, Service

STABLE = Service(
    "stable", group="chat", direct=(DirectEndpoint("10.0.0.1", 8802, 2), DirectEndpoint("10.0.0.2", 8802, 1))
)
CANARY = Service("canary", group="chat", direct=(DirectEndpoint("10.0.0.1", 8802, 1),))
TESTED = Service("tested", group="chat", direct=(DirectEndpoint("10.0.0.9", 8802, 1),))
SERVICES = {each.name: each for each in (STABLE, CANARY, TESTED, Service("idle"))}
GROUPS = {
    "chat": Group(
        "chat",
        members=(GroupMember("stable", 90), GroupMember("canary", 10), GroupMember("tested", 0)),
    )
}


def places(name: str) -> list[tuple[str, int, int]] | None:
    found = endpoints(name, SERVICES, GROUPS)
    return None if found is None else [(each["ip"], each["port"], each["weight"]) for each in found]


def test_a_service_is_where_its_ready_instances_are() -> None:
    assert places("stable") == [("10.0.0.1", 8802, 2), ("10.0.0.2", 8802, 1)]
    assert {each["app"] for each in endpoints("stable", SERVICES, GROUPS) or []} == {"stable"}


def test_a_group_is_where_its_members_that_take_traffic_are_each_address_once() -> None:
    assert places("chat") == [("10.0.0.1", 8802, 3), ("10.0.0.2", 8802, 1)]


def test_one_member_of_a_group_is_found_alone() -> None:
    assert places("chat.tested") == [("10.0.0.9", 8802, 1)]


def test_a_service_without_a_ready_instance_is_an_empty_list() -> None:
    assert places("idle") == []


def test_what_nobody_goes_by_is_not_found() -> None:
    assert places("nobody") is None
    assert places("other.stable") is None
    assert places(".idle") is None


def test_a_weight_is_at_least_one() -> None:
    services = {"odd": Service("odd", direct=(DirectEndpoint("10.0.0.1", 1, 0),))}

    (item,) = endpoints("odd", services, {}) or []

    assert item["weight"] == 1
