"""Counts of requests: what came since, how many failed, how long they took."""

import math

from easel.common.v1 import common_pb2
from services.scheduler.traffic.totals import Totals, totals_of
from tests.support.builders import NOON, at


def test_what_came_since_is_the_difference() -> None:
    earlier = Totals(at(0), requests=10, errors=1, latency={5.0: 10})
    later = Totals(at(9), requests=30, errors=4, latency={5.0: 12, 10.0: 18})

    assert later.since(earlier) == Totals(at(9), requests=20, errors=3, latency={5.0: 2, 10.0: 18})


def test_a_share_of_no_requests_is_none() -> None:
    assert Totals(NOON).error_rate == 0.0
    assert Totals(NOON, requests=40, errors=1).error_rate == 0.025


def test_a_quantile_lies_in_its_bucket_as_if_requests_were_spread_evenly() -> None:
    counted = Totals(NOON, latency={10.0: 50, 20.0: 50, math.inf: 0})

    assert counted.quantile(0.25) == 5.0
    assert counted.quantile(0.75) == 15.0
    assert counted.quantile(1.0) == 20.0
    assert Totals(NOON).quantile(0.5) is None


def test_of_the_last_bucket_only_the_lower_bound_is_known() -> None:
    counted = Totals(NOON, latency={10.0: 1, math.inf: 99})

    assert counted.quantile(0.99) == 10.0


def test_numbers_are_fresh_for_a_few_seconds() -> None:
    assert Totals(at(0)).fresh(at(10))
    assert not Totals(at(0)).fresh(at(11))


def test_reports_count_shorter_requests_in_every_bound_above_them() -> None:
    buckets = [common_pb2.LatencyBucket(upper_ms=b, count=n) for b, n in ((5, 3), (10, 7), (math.inf, 8))]
    counted = common_pb2.ServiceTraffic(requests=8, status_5xx=1, timed_out=1, grpc_failed=2, latency=buckets)

    assert totals_of([counted], NOON) == Totals(NOON, 8, 4, {5.0: 3, 10.0: 4, math.inf: 1})
