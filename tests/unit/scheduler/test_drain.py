"""When an instance that left traffic may be stopped, or started anew."""

from datetime import timedelta

from libs.domain.records import Instance
from libs.domain.states import InstanceState
from services.scheduler.reconcile.drain import Unrouted, judge_drain
from tests.support.builders import a_ready_instance, an_instance, at

PATIENCE = timedelta(seconds=30)
LAGGING = Unrouted(("gateway g1",))


def leaving() -> Instance:
    return a_ready_instance(state=InstanceState.TERMINATING, ready=False, drain_started_at=at(0))


def test_it_is_not_stopped_while_a_gateway_may_still_route_to_it() -> None:
    verdict = judge_drain(leaving(), LAGGING, PATIENCE, at(10))

    assert (verdict.out, verdict.why) == (
        False,
        "waiting up to 30 s for gateway g1 to say that no request is sent to it any more",
    )


def test_it_is_stopped_as_soon_as_every_gateway_routes_around_it() -> None:
    assert judge_drain(leaving(), Unrouted(), PATIENCE, at(0)).out


def test_waiting_is_said_only_when_it_takes_longer_than_it_should() -> None:
    assert not judge_drain(leaving(), LAGGING, PATIENCE, at(0.5)).say
    assert judge_drain(leaving(), LAGGING, PATIENCE, at(1)).say


def test_a_gateway_that_is_down_does_not_hold_it_for_ever_and_that_is_said() -> None:
    verdict = judge_drain(leaving(), LAGGING, PATIENCE, at(30))

    assert (verdict.out, verdict.why) == (True, "gateway g1 did not answer for 30 s; going on without it")


def test_what_never_took_traffic_is_stopped_at_once() -> None:
    never_ready = an_instance(state=InstanceState.TERMINATING, node="n1", drain_started_at=at(0))

    assert judge_drain(never_ready, LAGGING, PATIENCE, at(0)).out


def test_what_is_to_be_started_anew_leaves_traffic_in_the_same_way() -> None:
    restarting = a_ready_instance(restart_asked_at=at(0))

    assert not judge_drain(restarting, LAGGING, PATIENCE, at(1)).out
    assert judge_drain(restarting, Unrouted(), PATIENCE, at(1)).out
    assert judge_drain(restarting, LAGGING, PATIENCE, at(30)).out
