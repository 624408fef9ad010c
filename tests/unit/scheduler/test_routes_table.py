"""What gateways are told, and which generation lacks an instance."""

from dataclasses import replace

from libs.db.changes import Changes
from libs.domain.states import InstanceState
from services.scheduler.routes.gateways import Gateways
from services.scheduler.routes.table import RoutesTable
from services.scheduler.world import World
from tests.support.builders import NOON, a_ready_instance, a_service, a_version, a_world, an_instance


def changed(world: World, table: RoutesTable, changes: Changes) -> None:
    world.apply(changes)
    table.heard(changes)


def test_only_ready_instances_are_routed_to() -> None:
    world = a_world(a_service(), a_version(), a_ready_instance("a"), an_instance("b"))

    (route,) = RoutesTable(world, base=7).full().services

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

    assert [route.name for route in table.since(7).services] == ["two"]
    assert not table.since(table.generation).services


def test_a_deleted_service_is_told_as_removed_until_it_is_made_again() -> None:
    service, version = a_service(), a_version()
    world = a_world(service, version)
    table = RoutesTable(world, base=7)

    changed(world, table, Changes(delete=(service, version)))
    assert list(table.since(7).removed) == ["digits"]

    changed(world, table, Changes(put=(version, service)))
    assert not table.since(7).removed
    assert [route.name for route in table.since(7).services] == ["digits"]


def test_a_gateway_lags_until_it_has_applied_the_generation_without_the_instance() -> None:
    instance = a_ready_instance()
    world = a_world(a_service(), a_version(), instance)
    table = RoutesTable(world, base=7)
    gateways = Gateways(table, lambda: NOON)
    gateway = gateways.connected("g1", "http://127.0.0.1:8800", 1)
    gateways.applied(gateway, 7, 1)

    leaving = replace(instance, state=InstanceState.TERMINATING, ready=False)
    changed(world, table, Changes(put=(leaving,)))
    assert gateways.lagging(instance.id) == ("gateway g1",)

    gateways.applied(gateway, table.generation, 1)
    assert gateways.lagging(instance.id) == ()
