"""Which gateway serves what: its own services, and on a node what runs there."""

from dataclasses import replace
from datetime import datetime

from easel.gateway.v1 import gateway_pb2
from libs.db.changes import Changes, Record
from libs.domain.traffic import Gateway, Group, Mirror, Registry
from services.scheduler.routes.journal import Audience
from services.scheduler.routes.table import RoutesTable
from tests.support.builders import NOON, a_ready_instance, a_service, a_spec, a_version, a_world, at


class Routes:
    """A table over some records, which change as told."""

    def __init__(self, *records: Record) -> None:
        self.world = a_world(*records)
        self.table = RoutesTable(self.world, base=7)

    def put(self, *records: Record) -> None:
        self._changed(Changes(put=records))

    def delete(self, *records: Record) -> None:
        self._changed(Changes(delete=records))

    def _changed(self, changes: Changes) -> None:
        self.world.apply(changes)
        self.table.heard(changes)

    def node(self, name: str) -> Audience:
        return self.table.node_joined(name, f"{name}:8810")

    def shared(self) -> Audience:
        return self.table.audience("gateway")

    def everything(self, audience: Audience) -> set[str]:
        return {route.name for route in self.table.full(audience).services}

    def route(self, service: str) -> gateway_pb2.ServiceRoute:
        return next(r for r in self.table.full(self.shared()).services if r.name == service)

    def look(self, now: datetime, everywhere: bool = True) -> None:
        self.table.look(now, lambda service, generation: everywhere)


def a_served(name: str, node: str = "n1", **changes: object) -> tuple[Record, ...]:
    """A service with one ready instance."""
    return a_service(name, **changes), a_version(name), a_ready_instance(f"{name}-a", service=name, node=node)


def a_group(name: str = "both", **changes: object) -> Group:
    base = Group(name, "group-secret", NOON, NOON, revision=1)
    return replace(base, **changes)  # type: ignore[arg-type]


def a_route_count(update: gateway_pb2.RoutesUpdate) -> int:
    return len(update.services) + len(update.removed) + len(update.groups) + len(update.removed_groups)


def test_a_node_serves_what_runs_there_with_the_other_members_of_its_groups() -> None:
    routes = Routes(
        *a_served("one", group="both"),
        *a_served("two", "n2", group="both"),
        *a_served("apart", "n2"),
        a_group(),
    )
    node = routes.node("n1")

    assert routes.everything(node) == {"one", "two"}
    assert [group.name for group in routes.table.full(node).groups] == ["both"]


def test_a_service_that_comes_to_one_node_after_the_other_is_served_on_both() -> None:
    routes = Routes(a_service("one"), a_version("one"))
    first, second = routes.node("n1"), routes.node("n2")

    routes.put(a_ready_instance("one-a", service="one", node="n1"))
    routes.put(a_ready_instance("one-b", service="one", node="n2"))

    assert (routes.everything(first), routes.everything(second)) == ({"one"}, {"one"})


def test_nobody_is_sent_to_a_node_before_its_gateway_has_the_service() -> None:
    routes = Routes(*a_served("one"), a_service("two"), a_version("two"))
    routes.table.reached_at("gateway", "http://10.0.0.9:8800")
    node = routes.node("n1")
    routes.table.node_applied("n1", routes.table.generation)
    assert [place.address for place in routes.route("one").direct] == ["n1"]

    routes.put(a_ready_instance("two-a", service="two", node="n1"))
    known = routes.table.generation
    routes.table.node_applied("n1", known - 1)
    assert [place.address for place in routes.route("two").direct] == ["10.0.0.9"]

    routes.table.node_applied("n1", known)
    assert [place.address for place in routes.route("two").direct] == ["n1"]
    assert routes.table.since(node, known).services[0].direct[0].address == "n1"


def test_a_service_that_joins_a_group_comes_to_the_nodes_of_the_group_and_leaves_with_it() -> None:
    one, two = a_served("one", group="both"), a_served("two", "n2")
    routes = Routes(*one, *two, a_group())
    node = routes.node("n1")

    routes.put(replace(routes.world.services["two"], group="both"))
    assert routes.everything(node) == {"one", "two"}

    routes.put(replace(routes.world.services["two"], group=""))
    assert routes.everything(node) == {"one"}


def test_what_left_a_node_is_served_there_for_a_while_and_until_its_gateway_knows() -> None:
    routes = Routes(*a_served("one"))
    node = routes.node("n1")
    instance = routes.world.instances["one-a"]

    routes.put(replace(instance, ready=False))
    routes.look(at(0))
    routes.look(at(29))
    assert routes.everything(node) == {"one"}

    routes.look(at(30), everywhere=False)
    assert routes.everything(node) == {"one"}

    generation = routes.table.generation
    routes.look(at(31))
    assert list(routes.table.since(node, generation).removed) == ["one"]


def test_an_instance_that_comes_back_in_time_keeps_the_service_on_its_node() -> None:
    routes = Routes(*a_served("one"))
    node = routes.node("n1")
    instance = routes.world.instances["one-a"]

    routes.put(replace(instance, ready=False))
    routes.look(at(0))
    routes.put(instance)
    routes.look(at(60))

    assert routes.everything(node) == {"one"}


def test_a_deleted_service_leaves_its_nodes_at_once() -> None:
    routes = Routes(*a_served("one"))
    node = routes.node("n1")
    generation = routes.table.generation

    routes.delete(
        *(r for r in routes.world.records() if getattr(r, "service", getattr(r, "name", "")) == "one")
    )

    assert list(routes.table.since(node, generation).removed) == ["one"]


def test_a_change_is_told_to_whom_it_concerns_and_to_nobody_else() -> None:
    routes = Routes(*a_served("one"), *a_served("two", "n2"))
    told: list[str] = []
    for name in ("n1", "n2"):
        routes.node(name).subscribe(lambda name=name: told.append(name))  # type: ignore[misc]
    routes.shared().subscribe(lambda: told.append("shared"))

    routes.put(replace(routes.world.instances["two-a"], port=20001))

    assert sorted(told) == ["n2", "shared"]


def test_direct_endpoints_are_the_nodes_gateways_and_else_the_services_own() -> None:
    routes = Routes(*a_served("one"), a_ready_instance("one-b", service="one", node="n2"))
    routes.table.reached_at("gateway", "http://10.0.0.9:8800")
    assert [(d.address, d.port, d.weight) for d in routes.route("one").direct] == [("10.0.0.9", 8800, 2)]

    routes.node("n2")
    assert [(d.address, d.weight) for d in routes.route("one").direct] == [("10.0.0.9", 2)]

    routes.table.node_applied("n2", routes.table.generation)
    assert [(d.address, d.weight) for d in routes.route("one").direct] == [("10.0.0.9", 1), ("n2", 1)]

    routes.table.node_left("n2")
    assert [(d.address, d.weight) for d in routes.route("one").direct] == [("10.0.0.9", 2)]


def test_without_a_keepalive_of_its_own_a_service_has_that_of_its_gateway() -> None:
    named = a_version("named", spec=a_spec("named", rpc={"keepalive": 5000}))
    edge = Gateway("gw-edge", NOON, NOON, revision=1)
    routes = Routes(*a_served("plain", gateway="gw-edge"), a_service("named", gateway="gw-edge"), named, edge)
    audience = routes.table.audience("gw-edge")

    def keepalives() -> dict[str, int]:
        return {route.name: route.keepalive_ms for route in routes.table.full(audience).services}

    assert keepalives() == {"plain": 600_000, "named": 5000}
    generation = routes.table.generation
    routes.put(replace(edge, keepalive_ms=90_000))
    assert keepalives() == {"plain": 90_000, "named": 5000}
    assert [route.name for route in routes.table.since(audience, generation).services] == ["plain"]


def test_limits_are_those_the_version_in_force_names() -> None:
    networking = {
        "gateway_policy": {
            "rate_limit": {"enable": True, "limit": 100},
            "concurrency_limit": {"enable": False, "limit": 7},
        },
        "nlb": [{"id": "default", "listener_port": 9001}],
    }
    spec = {**a_spec("one", rpc={"rate_limit": 5, "max_queue_size": 20}), "networking": networking}
    instance = a_ready_instance("one-a", service="one")
    routes = Routes(a_service("one"), a_version("one", spec=spec), instance, *a_served("two"))

    limits = routes.route("one").limits
    assert (limits.rate_per_instance, limits.rate, limits.concurrency) == (5, 100, 0)
    assert limits.in_flight_per_instance == 25
    assert [(each.id, each.port) for each in routes.route("one").tcp_listeners] == [("default", 9001)]
    assert not routes.route("two").HasField("limits")
    # Ports of TCP are opened by the service's own gateway alone.
    assert not any(route.tcp_listeners for route in routes.table.full(routes.node("n1")).services)


def test_a_registry_that_changes_is_told_to_the_services_that_use_it() -> None:
    spec = {**a_spec("one"), "networking": {"nacos": [{"id": "lab"}]}}
    lab = Registry("lab", "nacos", "http://nacos:8848", NOON, revision=1)
    routes = Routes(a_service("one"), a_version("one", spec=spec), lab, *a_served("two"))
    generation = routes.table.generation

    routes.put(replace(lab, url="http://other:8848"))

    (changed,) = routes.table.since(routes.shared(), generation).services
    assert [each.url for each in changed.registrations] == ["http://other:8848"]
    assert routes.table.written_to("lab") == ["one"]


def test_a_target_of_a_mirror_that_changes_is_told_to_the_service_that_is_copied() -> None:
    mirror = Mirror("one", ("two",), 10, NOON, NOON, revision=1)
    routes = Routes(*a_served("one"), *a_served("two"), mirror)
    generation = routes.table.generation

    routes.put(replace(routes.world.instances["two-a"], port=20001))

    changed = {route.name: route for route in routes.table.since(routes.shared(), generation).services}
    assert [e.port for each in changed["one"].mirrors for e in each.endpoints] == [20001]


def test_a_group_moves_with_its_members_to_another_gateway() -> None:
    routes = Routes(*a_served("one", group="both"), a_group())
    generation = routes.table.generation

    routes.put(replace(routes.world.services["one"], gateway="gw-edge"), a_group(gateway="gw-edge"))

    left = routes.table.since(routes.shared(), generation)
    assert (list(left.removed), list(left.removed_groups)) == (["one"], ["both"])
    assert a_route_count(routes.table.full(routes.table.audience("gw-edge"))) == 2


def test_settings_are_told_again_only_where_they_changed() -> None:
    routes = Routes(*a_served("one"))
    generation = routes.table.generation
    assert routes.table.full(routes.shared()).settings.name == "gateway"

    routes.put(Gateway("gw-edge", NOON, NOON, host="gateway", port=9000, revision=1))
    told = routes.table.since(routes.shared(), generation)
    assert [each.name for each in told.hosted.gateways] == ["gw-edge"]

    generation = routes.table.generation
    routes.put(replace(routes.world.instances["one-a"], port=20001))
    assert not routes.table.since(routes.shared(), generation).HasField("settings")
