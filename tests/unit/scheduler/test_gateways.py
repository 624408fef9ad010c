"""Which gateways may still route to an instance that left the routes."""

from dataclasses import replace
from datetime import datetime, timedelta

from libs.db.changes import Changes
from libs.domain.states import InstanceState
from services.scheduler.routes.gateways import Gateways
from services.scheduler.routes.table import RoutesTable
from tests.support.builders import NOON, a_ready_instance, a_service, a_version, a_world, at

BASE = 7 << 32
URL = "http://127.0.0.1:8800"


class Stage:
    """A scheduler's routes, with one service; its instance comes, leaves, and time passes as told."""

    def __init__(self, *, instance_before_start: bool = False) -> None:
        self.instance = a_ready_instance()
        here = (self.instance,) if instance_before_start else ()
        self._world = a_world(a_service(), a_version(), *here)
        self.table = RoutesTable(self._world, BASE)
        self.now: datetime = NOON
        self.gateways = Gateways(self.table, lambda: self.now)

    def comes(self) -> None:
        self._changed(Changes(put=(self.instance,)))

    def leaves(self) -> None:
        self._changed(Changes(put=(replace(self.instance, state=InstanceState.TERMINATING, ready=False),)))

    def lagging(self) -> tuple[str, ...]:
        return self.gateways.unrouted(self.instance.id).lagging

    def _changed(self, changes: Changes) -> None:
        self._world.apply(changes)
        self.table.heard(changes)


def test_a_gateway_lags_until_it_has_applied_the_generation_without_the_instance() -> None:
    stage = Stage()
    gateway = stage.gateways.connected("g1", URL, 1)
    stage.comes()
    stage.gateways.applied(gateway, stage.table.generation, 1)
    stage.leaves()
    assert stage.lagging() == ("gateway g1",)

    stage.gateways.applied(gateway, stage.table.generation, 1)
    assert stage.lagging() == ()

    stage.gateways.applied(gateway, stage.table.generation - 1, 1)
    assert stage.lagging() == ()


def test_two_gateways_of_one_name_must_both_have_applied_it() -> None:
    stage = Stage()
    one, other = (stage.gateways.connected("gateway", URL, 1) for _ in range(2))
    stage.comes()
    stage.leaves()

    stage.gateways.applied(one, stage.table.generation, 1)
    assert stage.lagging() == ("gateway gateway",)
    stage.gateways.applied(other, stage.table.generation, 1)
    assert stage.lagging() == ()


def test_a_gateway_that_went_away_is_waited_for_until_it_is_forgotten() -> None:
    stage = Stage()
    stage.gateways.left(stage.gateways.connected("g1", URL, 1))
    stage.comes()
    stage.leaves()
    assert stage.lagging() == ("gateway g1",)

    stage.now = NOON + timedelta(minutes=5)
    assert stage.lagging() == ()
    assert stage.gateways.public_url() is None


def test_a_gateway_that_connected_again_is_not_held_to_its_older_connection() -> None:
    stage = Stage()
    older = stage.gateways.connected("g1", URL, 1)
    newer = stage.gateways.connected("g1", URL, 1)
    stage.comes()
    stage.leaves()
    stage.gateways.applied(newer, stage.table.generation, 1)

    stage.gateways.left(older)

    assert stage.lagging() == ()


def test_after_a_start_gateways_have_time_to_come_back_before_what_they_may_route_to_is_stopped() -> None:
    stage = Stage(instance_before_start=True)
    stage.leaves()
    assert stage.lagging() == ("a gateway that has not come back since the scheduler started",)

    stage.now = at(10)
    assert stage.lagging() == ()


def test_what_came_after_the_start_is_known_to_no_gateway_from_before() -> None:
    stage = Stage()
    stage.comes()
    stage.leaves()

    assert stage.lagging() == ()


def test_a_generation_that_was_never_given_out_is_not_believed() -> None:
    stage = Stage()
    gateway = stage.gateways.connected("g1", URL, 1)
    stage.gateways.applied(gateway, 9 << 32, 1)
    stage.comes()
    stage.leaves()

    assert stage.lagging() == ("gateway g1",)
