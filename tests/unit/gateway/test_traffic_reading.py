"""From Envoy's statistics to reports."""

import math
import re
from itertools import pairwise

import pytest

from services.gateway.statistics.envoy_stats import Counted, Span, counted
from services.gateway.statistics.reading import (
    LATENCY_BOUNDS,
    grown,
    latency_buckets,
    token_uses,
    traffic,
    traffic_names,
)

SPANS = {"cluster.svc/1.upstream_rq_time": (Span(0, 0, 5), Span(3, 0.1, 4), Span(120, 10, 1))}


def covered(buckets: list[object], bound: float) -> int:
    return next(each.count for each in buckets if each.upper_ms >= bound)  # type: ignore[attr-defined]


def test_envoys_answer_is_numbers_and_histograms_by_name() -> None:
    answer = {
        "stats": [
            {"name": "cluster.svc/1.upstream_rq_completed", "value": 3},
            {
                "histograms": {
                    "supported_percentiles": [0, 25],
                    "details": [
                        {
                            "name": "cluster.svc/1.upstream_rq_time",
                            "totals": [{"lower_bound": 3, "width": 0.1, "count": 4}],
                            "intervals": [],
                        }
                    ],
                }
            },
        ]
    }

    assert counted(answer) == Counted(
        {"cluster.svc/1.upstream_rq_completed": 3}, {"cluster.svc/1.upstream_rq_time": (Span(3, 0.1, 4),)}
    )


def test_each_version_of_the_services_asked_for_is_reported() -> None:
    numbers = {
        "cluster.svc/1.upstream_rq_completed": 10,
        "cluster.svc/1.upstream_rq_2xx": 8,
        "cluster.svc/1.upstream_rq_4xx": 2,
        "cluster.svc/1.upstream_rq_active": 3,
        "cluster.svc/2.upstream_rq_completed": 1,
        "cluster.svc/2.upstream_rq_5xx": 1,
        "cluster.svc/~copy.upstream_rq_completed": 9,
        "cluster.other/1.upstream_rq_completed": 9,
    }

    first, second = traffic(Counted(numbers, SPANS), {"svc"})

    assert (first.service, first.version, first.requests, first.in_flight) == ("svc", 1, 10, 3)
    assert (first.status_2xx, first.status_4xx, first.status_5xx) == (8, 2, 0)
    assert first.latency[-1].count == 10
    assert (second.version, second.requests, second.status_5xx) == (2, 1, 1)


def test_what_the_gateway_refused_is_counted_by_the_status_that_clients_got() -> None:
    numbers = {
        "cluster.svc/1.upstream_rq_completed": 10,
        "cluster.svc/1.upstream_rq_5xx": 6,
        "cluster.svc/1.upstream_rq_active_overflow": 3,
        "cluster.svc/1.upstream_rq_per_try_timeout": 2,
    }

    (report,) = traffic(Counted(numbers), {"svc"})

    assert (report.overflowed, report.timed_out) == (3, 2)
    assert (report.status_4xx, report.status_5xx) == (5, 1)


def test_a_failed_call_of_grpc_is_counted_once() -> None:
    numbers = {
        "cluster.svc/1.upstream_rq_completed": 10,
        "cluster.svc/1.upstream_rq_5xx": 2,
        "cluster.svc/1.grpc.success": 6,
        "cluster.svc/1.grpc.failure": 4,
    }

    (report,) = traffic(Counted(numbers), {"svc"})

    assert (report.grpc_ok, report.grpc_failed, report.status_5xx) == (6, 4, 0)


def test_requests_beyond_a_rate_are_summed_over_entries_and_said_for_no_version() -> None:
    numbers = {
        "easel.refused.service.svc.status.429.grpc..flags.RL": 5,
        "easel.refused.service.svc.status.200.grpc.8.flags.RL": 2,
        "easel.refused.service.svc.status.429.grpc..flags.UO": 9,
        "easel.refused.service.other.status.429.grpc..flags.RL": 9,
        "easel.refused.service..status.401.grpc..flags.": 9,
    }

    (report,) = traffic(Counted(numbers), {"svc"})

    assert (report.service, report.version, report.rate_limited, report.status_4xx) == ("svc", 0, 7, 7)


@pytest.mark.parametrize("services", [{"svc"}, {"svc", *(f"s{number}" for number in range(300))}])
def test_only_what_a_report_says_is_asked_for(services: set[str]) -> None:
    names = re.compile(traffic_names(services))

    assert names.search("cluster.svc/12.upstream_rq_2xx")
    assert names.search("cluster.svc/12.grpc.failure")
    assert names.search("easel.refused.service.svc.status.429.grpc..flags.RL")
    assert not names.search("cluster.svc/~copy.upstream_rq_2xx")
    assert not names.search("cluster.svc/12.membership_total")
    assert bool(names.search("cluster.other/1.upstream_rq_2xx")) == (len(services) > 200)


def test_latency_always_has_the_same_bounds_and_the_last_covers_all() -> None:
    buckets = latency_buckets(SPANS["cluster.svc/1.upstream_rq_time"])

    assert [each.upper_ms for each in buckets] == [*LATENCY_BOUNDS, math.inf]
    assert [each.upper_ms for each in latency_buckets(())] == [*LATENCY_BOUNDS, math.inf]
    assert (covered(list(buckets), 1), covered(list(buckets), 3), buckets[-1].count) == (5, 9, 10)
    assert covered(list(buckets), 110) == 9
    assert covered(list(buckets), 130) == 10


def test_bounds_of_latency_are_close_together() -> None:
    steps = pairwise(LATENCY_BOUNDS)

    assert (LATENCY_BOUNDS[0], LATENCY_BOUNDS[-1]) == (1, 100_000)
    assert all(later / earlier < 1.18 for earlier, later in steps)


def test_uses_of_a_token_are_summed_over_entries() -> None:
    numbers = {
        "vhost.svc.route.token-1a.upstream_rq_total": 2,
        "vhost.#svc.easel.local:8800.route.token-1a.upstream_rq_total": 3,
        "vhost.svc.route.token-2b.upstream_rq_total": 1,
    }

    assert token_uses(Counted(numbers)) == {"token-1a": 5, "token-2b": 1}


def test_what_is_counted_from_nothing_again_has_grown() -> None:
    assert grown({"a": 5, "b": 5, "c": 5}, {"a": 5, "b": 6, "c": 2, "d": 1, "e": 0}) == ["b", "c", "d"]
