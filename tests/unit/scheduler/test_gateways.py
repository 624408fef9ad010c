"""Which gateways may still route to an instance that left the routes."""

from dataclasses import replace
from datetime import datetime, timedelta

from libs.db.changes import Changes
from libs.domain.records import Instance
from libs.domain.states import InstanceState
from libs.domain.traffic import SHARED_GATEWAY
from services.scheduler.routes.gateways import Gateway, Gateways
from services.scheduler.routes.table import RoutesTable
from tests.support.builders import NOON, a_ready_instance, a_service, a_version, a_world, at

BASE = 7 << 32
URL = "http://127.0.0.1:8800"
LAGS = (f"gateway {SHARED_GATEWAY}",)


class Stage:
    """A scheduler's routes, with one service; its instance comes, leaves, and time passes as told."""

    def __init__(self, *, instance_before_start: bool = False, gateway: str = SHARED_GATEWAY) -> None:
        self.instance = a_ready_instance()
        here = (self.instance,) if instance_before_start else ()
        self.service = a_service(gateway=gateway)
        self._world = a_world(self.service, a_version(), *here)
        self.table = RoutesTable(self._world, BASE)
        self.now: datetime = NOON
        self.gateways = Gateways(self.table, lambda: self.now)

    def connects(self, name: str = SHARED_GATEWAY, node: str = "") -> Gateway:
        direct = "10.0.0.1:8800" if node else ""
        return self.gateways.connected(name, URL, 1, node=node, direct_address=direct)

    def is_told(self, gateway: Gateway) -> None:
        self.gateways.sent(gateway, self.table.full(gateway.audience))

    def applies(self, gateway: Gateway) -> None:
        """What it was told before, if it was, and what there is now."""
        self.is_told(gateway)
        self.gateways.applied(gateway, self.table.generation, 1)

    def comes(self, instance: Instance | None = None) -> None:
        self.changed(Changes(put=(instance or self.instance,)))

    def leaves(self) -> None:
        self.changed(Changes(put=(replace(self.instance, state=InstanceState.TERMINATING, ready=False),)))

    def lagging(self) -> tuple[str, ...]:
        return self.gateways.unrouted(self.instance.id).lagging

    def changed(self, changes: Changes) -> None:
        self._world.apply(changes)
        self.table.heard(changes)


def test_a_gateway_lags_until_it_has_applied_routes_without_the_instance() -> None:
    stage = Stage()
    gateway = stage.connects()
    stage.comes()
    stage.applies(gateway)
    stage.leaves()
    assert stage.lagging() == LAGS

    stage.is_told(gateway)
    assert stage.lagging() == LAGS

    stage.gateways.applied(gateway, stage.table.generation, 1)
    assert stage.lagging() == ()

    stage.gateways.applied(gateway, stage.table.generation - 1, 1)
    assert stage.lagging() == ()


def test_a_gateway_lags_that_was_told_of_the_instance_and_has_not_answered_yet() -> None:
    stage = Stage()
    gateway = stage.connects()
    stage.applies(gateway)
    stage.comes()
    stage.is_told(gateway)

    stage.leaves()

    assert stage.lagging() == LAGS


def test_an_answer_to_older_routes_does_not_speak_for_an_instance_that_came_back() -> None:
    stage = Stage()
    gateway = stage.connects()
    stage.comes()
    stage.applies(gateway)
    stage.leaves()
    stage.is_told(gateway)
    without = stage.table.generation
    stage.comes()
    stage.is_told(gateway)
    stage.leaves()
    stage.is_told(gateway)

    stage.gateways.applied(gateway, without, 1)
    assert stage.lagging() == LAGS

    stage.gateways.applied(gateway, stage.table.generation, 1)
    assert stage.lagging() == ()


def test_two_gateways_of_one_name_must_both_have_applied_it() -> None:
    stage = Stage()
    stage.comes()
    one, other = stage.connects(), stage.connects()
    for gateway in (one, other):
        stage.applies(gateway)
    stage.leaves()

    stage.applies(one)
    assert stage.lagging() == LAGS
    stage.applies(other)
    assert stage.lagging() == ()


def test_a_gateway_on_which_the_service_never_was_is_not_waited_for() -> None:
    stage = Stage()
    for each in (stage.connects("gw-other"), stage.connects("n9", node="n9")):
        stage.applies(each)
    stage.comes()
    stage.leaves()

    assert stage.lagging() == ()


def test_the_gateway_that_a_service_was_on_before_is_waited_for_until_it_has_dropped_it() -> None:
    stage = Stage()
    before, after = stage.connects(), stage.connects("gw-new")
    stage.comes()
    stage.applies(before)
    stage.applies(after)
    stage.changed(Changes(put=(replace(stage.service, gateway="gw-new"),)))
    stage.applies(after)
    stage.leaves()
    stage.applies(after)
    assert stage.lagging() == LAGS

    stage.applies(before)
    assert stage.lagging() == ()


def test_a_change_that_is_not_its_matter_leaves_a_gateway_up_to_date() -> None:
    stage = Stage()
    gateway, other = stage.connects(), stage.connects("gw-other")
    stage.comes()
    stage.applies(gateway)
    stage.applies(other)
    stage.leaves()
    stage.applies(gateway)

    there = a_service("there", gateway="gw-other")
    stage.changed(Changes(put=(there, a_version("there"))))

    assert stage.lagging() == ()
    assert not stage.table.since(gateway.audience, gateway.applied).services


def test_the_gateway_of_a_node_counts_for_what_it_serves() -> None:
    stage = Stage()
    here, elsewhere = stage.connects("n1", node="n1"), stage.connects("n2", node="n2")
    stage.comes()
    for gateway in (here, elsewhere):
        stage.applies(gateway)
    stage.leaves()

    assert stage.lagging() == ("gateway n1",)
    stage.applies(here)
    assert stage.lagging() == ()


def test_a_gateway_of_a_node_that_never_answers_holds_up_nothing_that_is_not_its_own() -> None:
    stage = Stage(instance_before_start=True)
    stage.now = at(10)
    stage.connects("n9", node="n9")
    stage.leaves()

    assert stage.lagging() == ()


def test_a_gateway_that_never_answers_soon_holds_up_its_own_services_alone() -> None:
    stage = Stage()
    stage.comes()
    stage.applies(stage.connects())
    stage.connects("gw-broken")
    own = replace(stage.service, name="own", gateway="gw-broken")
    stage.changed(Changes(put=(own, a_version("own"), a_ready_instance("own-a", service="own"))))
    stage.connects("gw-broken")
    stage.leaves()
    assert "gateway gw-broken" in stage.lagging()

    stage.now = at(10)
    assert stage.lagging() == LAGS
    assert stage.gateways.unrouted("own-a").lagging == ("gateway gw-broken",)


def test_a_gateway_that_went_away_is_waited_for_until_it_is_forgotten() -> None:
    stage = Stage()
    gateway = stage.connects()
    stage.comes()
    stage.applies(gateway)
    stage.gateways.left(gateway)
    stage.leaves()
    assert stage.lagging() == LAGS

    stage.now = NOON + timedelta(minutes=5)
    assert stage.lagging() == ()
    assert stage.gateways.public_url() is None


def test_a_gateway_that_comes_back_may_route_as_before_until_it_has_applied_what_is_new() -> None:
    stage = Stage()
    before = stage.connects()
    stage.comes()
    stage.applies(before)
    stage.gateways.left(before)
    stage.leaves()

    again = stage.connects()
    stage.is_told(again)
    assert stage.lagging() == LAGS

    # Said of what it had from before.
    stage.gateways.applied(again, stage.table.generation - 1, 1)
    assert stage.lagging() == LAGS

    stage.gateways.applied(again, stage.table.generation, 1)
    assert stage.lagging() == ()


def test_a_gateway_that_connected_again_is_not_held_to_its_older_connection() -> None:
    stage = Stage()
    older = stage.connects()
    stage.comes()
    stage.applies(older)
    newer = stage.connects()
    stage.leaves()
    stage.applies(newer)

    stage.gateways.left(older)

    assert stage.lagging() == ()


def test_a_gateway_that_has_said_nothing_yet_may_know_what_was_there_before_it_connected() -> None:
    stage = Stage()
    stage.comes()
    gateway = stage.connects()
    stage.leaves()
    assert stage.lagging() == LAGS

    stage.applies(gateway)
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
    gateway = stage.connects()
    stage.comes()
    stage.is_told(gateway)
    stage.gateways.applied(gateway, 9 << 32, 1)
    stage.leaves()

    assert stage.lagging() == LAGS
