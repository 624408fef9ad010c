"""When an instance that left traffic may be stopped."""

import json
from datetime import timedelta

from libs.domain.states import InstanceState
from services.scheduler.facts import facts_of
from services.scheduler.reconcile.drain import Unrouted, judge_drain
from tests.support.builders import a_ready_instance, a_spec, an_instance, at

FACTS = facts_of(json.dumps(a_spec(rpc={"keepalive": 5000})))
PATIENCE = timedelta(seconds=30)
LAGGING = Unrouted(("gateway g1",))


def leaving(**changes: object) -> object:
    base = {"state": InstanceState.TERMINATING, "ready": False, "drain_started_at": at(0)}
    return a_ready_instance(**{**base, **changes})


def test_it_is_not_stopped_while_a_gateway_may_still_route_to_it() -> None:
    verdict = judge_drain(leaving(), FACTS, LAGGING, PATIENCE, at(10))

    assert (verdict.stop, verdict.why) == (False, "waiting for gateway g1 to route around it")


def test_requests_under_way_get_as_long_as_one_request_may_take() -> None:
    assert not judge_drain(leaving(), FACTS, Unrouted(), PATIENCE, at(4.9)).stop
    assert judge_drain(leaving(), FACTS, Unrouted(), PATIENCE, at(5)).stop


def test_calls_that_the_keepalive_does_not_bound_get_the_grace_period() -> None:
    facts = facts_of(json.dumps(a_spec(enable_grpc=True)))

    assert not judge_drain(leaving(), facts, Unrouted(), PATIENCE, at(29.9)).stop
    assert judge_drain(leaving(), facts, Unrouted(), PATIENCE, at(30)).stop


def test_the_time_of_requests_under_way_begins_when_the_last_gateway_stopped_routing_to_it() -> None:
    late = Unrouted(since=at(20))

    assert not judge_drain(leaving(), FACTS, late, PATIENCE, at(24.9)).stop
    assert judge_drain(leaving(), FACTS, late, PATIENCE, at(25)).stop


def test_a_gateway_that_is_down_does_not_hold_it_for_ever_and_that_is_said() -> None:
    verdict = judge_drain(leaving(), FACTS, LAGGING, PATIENCE, at(30))

    assert (verdict.stop, verdict.why) == (True, "gateway g1 did not answer for 30 s; stopping anyway")


def test_what_never_took_traffic_is_stopped_at_once() -> None:
    never_ready = an_instance(state=InstanceState.TERMINATING, node="n1", drain_started_at=at(0))

    assert judge_drain(never_ready, FACTS, LAGGING, PATIENCE, at(0)).stop
