"""What gateways are told, and which generation lacks an instance."""

from dataclasses import replace

from easel.gateway.v1 import gateway_pb2
from libs.db.changes import Changes
from libs.domain.records import ServiceVersion
from libs.domain.scaling import Autoscaler
from libs.domain.traffic import SHARED_GATEWAY
from services.scheduler.routes.table import RoutesTable
from services.scheduler.world import World
from tests.support.builders import NOON, a_ready_instance, a_service, a_version, a_world, an_instance


def changed(world: World, table: RoutesTable, changes: Changes) -> None:
    world.apply(changes)
    table.heard(changes)


def everything(table: RoutesTable, gateway: str = SHARED_GATEWAY) -> gateway_pb2.RoutesUpdate:
    return table.full(table.audience(gateway))


def since(table: RoutesTable, generation: int, gateway: str = SHARED_GATEWAY) -> gateway_pb2.RoutesUpdate:
    return table.since(table.audience(gateway), generation)


def test_only_ready_instances_are_routed_to() -> None:
    world = a_world(a_service(), a_version(), a_ready_instance("a"), an_instance("b"))

    (route,) = everything(RoutesTable(world, base=7)).services

    assert [e.instance for b in route.backends for e in b.endpoints] == ["a"]
    assert list(route.tokens) == ["secret"]


def test_a_change_that_routes_nothing_differently_is_no_new_generation() -> None:
    instance = a_ready_instance()
    world = a_world(a_service(), a_version(), instance)
    table = RoutesTable(world, base=7)

    changed(world, table, Changes(put=(replace(instance, restarts=3),)))

    assert table.generation == 7


def test_an_update_carries_only_what_changed_since_the_last_one() -> None:
    world = a_world(a_service("one"), a_version("one"), a_service("two"), a_version("two"))
    table = RoutesTable(world, base=7)

    changed(world, table, Changes(put=(a_ready_instance("x", service="two"),)))

    assert [route.name for route in since(table, 7).services] == ["two"]
    assert not since(table, table.generation).services


def test_a_deleted_service_is_told_as_removed_until_it_is_made_again() -> None:
    service, version = a_service(), a_version()
    world = a_world(service, version)
    table = RoutesTable(world, base=7)

    changed(world, table, Changes(delete=(service, version)))
    assert list(since(table, 7).removed) == ["digits"]

    changed(world, table, Changes(put=(version, service)))
    assert not since(table, 7).removed
    assert [route.name for route in since(table, 7).services] == ["digits"]


def test_removals_are_not_remembered_for_ever_and_who_missed_one_is_told_everything() -> None:
    kept = a_service("kept"), a_version("kept")
    world = a_world(*kept)
    table = RoutesTable(world, base=7)

    for n in range(10_001):
        service, version = a_service(f"svc-{n}"), a_version(f"svc-{n}")
        changed(world, table, Changes(put=(version, service)))
        changed(world, table, Changes(delete=(service, version)))

    late, newest = since(table, 8), since(table, table.generation - 1)
    assert (late.full, [route.name for route in late.services]) == (True, ["kept"])
    assert (newest.full, list(newest.removed)) == (False, ["svc-10000"])


def test_a_version_that_cannot_be_read_any_more_costs_no_traffic() -> None:
    unreadable = ServiceVersion("digits", 2, "this is no service.json", NOON, revision=1)
    serving = a_ready_instance("a"), a_ready_instance("b", service="only", version=2)
    alone = replace(unreadable, service="only")
    world = a_world(
        a_service(version=2), a_version(), unreadable, a_service("only", version=2), alone, *serving
    )

    routes = {route.name: route for route in everything(RoutesTable(world, base=7)).services}

    assert [b.endpoints[0].instance for name in ("digits", "only") for b in routes[name].backends] == [
        "a",
        "b",
    ]


def test_a_service_that_may_sleep_holds_requests_as_its_policy_says() -> None:
    world = a_world(a_service(), a_version())
    table = RoutesTable(world, base=7)
    zero = '{"min": 0, "behavior": {"onZero": {"holdRequests": 5, "holdMebibytes": 6, "holdSeconds": 7}}}'
    assert not everything(table).services[0].HasField("hold")

    changed(world, table, Changes(put=(Autoscaler("digits", zero, NOON, NOON, revision=1),)))

    (route,) = since(table, 7).services
    assert (route.hold.requests, route.hold.mib, route.hold.within_ms) == (5, 6, 7000)
    # A place for the instance that is waited for.
    assert [(backend.version, len(backend.endpoints)) for backend in route.backends] == [(1, 0)]


def test_a_service_that_is_stopped_or_never_sleeps_holds_nothing() -> None:
    zero = Autoscaler("digits", '{"min": 0}', NOON, NOON, revision=1)
    one = replace(zero, policy_json='{"min": 1}')

    for world in (
        a_world(a_service(stopped=True), a_version(), zero),
        a_world(a_service(), a_version(), one),
    ):
        (route,) = everything(RoutesTable(world, base=7)).services
        assert not route.HasField("hold")
        assert not route.backends
