"""From Envoy's statistics to reports."""

import math
import re
from itertools import pairwise

import pytest

from services.gateway.statistics.envoy_stats import Sample, samples
from services.gateway.statistics.reading import grown, token_uses, traffic, traffic_names
from services.gateway.xds.bootstrap import LATENCY_BOUNDS_MS

ENVOY_SAYS = """
# TYPE envoy_cluster_upstream_rq_completed counter
envoy_cluster_upstream_rq_completed{envoy_cluster_name="svc/1"} 10
envoy_cluster_upstream_rq_xx{envoy_response_code_class="2",envoy_cluster_name="svc/1"} 8
envoy_cluster_upstream_rq_xx{envoy_response_code_class="4",envoy_cluster_name="svc/1"} 2
# TYPE envoy_cluster_upstream_rq_time histogram
envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="svc/1",le="1"} 5
envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="svc/1",le="100"} 9
envoy_cluster_upstream_rq_time_bucket{envoy_cluster_name="svc/1",le="+Inf"} 10
envoy_cluster_upstream_rq_time_sum{envoy_cluster_name="svc/1"} 7.0496453900709221684905969596002
envoy_cluster_upstream_rq_active{envoy_cluster_name="svc/1"} 3
envoy_easel_refused{service="svc",status="429",grpc="",flags="RL"} 5
envoy_server_live{} 1
"""


def of_svc(version: int = 1, **numbers: int) -> list[Sample]:
    cluster = {"envoy_cluster_name": f"svc/{version}"}
    return [Sample(f"envoy_cluster_{name}", value, cluster) for name, value in numbers.items()]


def answers(status_class: int, count: int, version: int = 1) -> Sample:
    labels = {"envoy_response_code_class": str(status_class), "envoy_cluster_name": f"svc/{version}"}
    return Sample("envoy_cluster_upstream_rq_xx", count, labels)


def refused(service: str, count: int, status: int = 429, flags: str = "RL") -> Sample:
    labels = {"service": service, "status": str(status), "grpc": "", "flags": flags}
    return Sample("envoy_easel_refused", count, labels)


def test_what_envoy_says_is_numbers_with_labels() -> None:
    found = samples(ENVOY_SAYS)

    assert found[0] == Sample("envoy_cluster_upstream_rq_completed", 10, {"envoy_cluster_name": "svc/1"})
    assert found[-1] == Sample("envoy_server_live", 1)


def test_a_version_is_reported_with_what_was_refused_before_one_was_chosen_beside_it() -> None:
    before, first = traffic(samples(ENVOY_SAYS), {"svc"})

    assert (first.service, first.version, first.requests, first.in_flight) == ("svc", 1, 10, 3)
    assert (first.status_2xx, first.status_4xx, first.status_5xx) == (8, 2, 0)
    assert [(each.upper_ms, each.count) for each in first.latency] == [(1, 5), (100, 9), (math.inf, 10)]
    assert (before.version, before.rate_limited, before.status_4xx, before.requests) == (0, 5, 5, 0)


def test_what_was_refused_as_it_waited_is_5xx_of_no_version() -> None:
    counted = [refused("svc", 4, 503, "UAEX"), refused("svc", 2, 200, "UAEX"), refused("svc", 5)]

    (before,) = traffic(counted, {"svc"})

    assert (before.version, before.rate_limited, before.status_4xx) == (0, 5, 5)
    assert (before.requests, before.status_5xx) == (6, 6)


def test_only_versions_of_the_services_asked_for_are_reported() -> None:
    others = [
        Sample("envoy_cluster_upstream_rq_completed", 9, {"envoy_cluster_name": name})
        for name in ("svc/~copy", "other/1", "easel_ads")
    ]

    reports = traffic([*others, *of_svc(1, upstream_rq_completed=1), *of_svc(12, grpc_success=1)], {"svc"})

    assert [(each.service, each.version) for each in reports] == [("svc", 1), ("svc", 12)]


def test_what_the_gateway_refused_is_counted_by_the_status_that_clients_got() -> None:
    numbers = of_svc(upstream_rq_active_overflow=3, upstream_rq_per_try_timeout=2)

    (report,) = traffic([*numbers, answers(5, 6)], {"svc"})

    assert (report.overflowed, report.timed_out) == (3, 2)
    assert (report.status_4xx, report.status_5xx) == (5, 1)


def test_a_failed_call_of_grpc_is_counted_once() -> None:
    (report,) = traffic([*of_svc(grpc_success=6, grpc_failure=4), answers(5, 2)], {"svc"})

    assert (report.grpc_ok, report.grpc_failed, report.status_5xx) == (6, 4, 0)


def test_requests_beyond_a_rate_are_summed_over_entries_and_said_for_no_version() -> None:
    counted = [
        refused("svc", 5),
        refused("svc", 2, status=200),
        refused("svc", 9, flags="UO"),
        refused("other", 9),
        refused("", 9, status=401, flags=""),
    ]

    (report,) = traffic(counted, {"svc"})

    assert (report.service, report.version, report.rate_limited, report.status_4xx) == ("svc", 0, 7, 7)


@pytest.mark.parametrize("services", [{"svc"}, {"svc", *(f"service-{number}" for number in range(3_000))}])
def test_only_what_a_report_says_is_asked_for(services: set[str]) -> None:
    names = re.compile(traffic_names(services))

    assert names.search("cluster.svc/12.upstream_rq_2xx")
    assert names.search("cluster.svc/12.grpc.failure")
    assert names.search("easel.refused.service.svc.status.429.grpc..flags.RL")
    assert not names.search("cluster.svc/~copy.upstream_rq_2xx")
    assert not names.search("cluster.svc/12.membership_total")
    assert bool(names.search("cluster.other/1.upstream_rq_2xx")) == (len(services) > 1_000)


def test_bounds_of_latency_are_close_together_where_most_requests_end() -> None:
    steps = [later / earlier for earlier, later in pairwise(LATENCY_BOUNDS_MS) if 5 <= earlier < 5_000]

    assert list(LATENCY_BOUNDS_MS) == sorted(set(LATENCY_BOUNDS_MS))
    assert max(steps) < 1.26


def test_uses_of_a_token_are_summed_over_entries() -> None:
    labels = {"envoy_virtual_host": "svc", "envoy_route": "token-0a7651f82b16"}
    counted = [
        Sample("envoy_vhost_route_upstream_rq_total", 2, labels),
        Sample(
            "envoy_vhost_easel_local_8800_route_token_0a7651f82b16_upstream_rq_total",
            3,
            {"envoy_virtual_host": "#svc"},
        ),
        Sample("envoy_vhost_route_upstream_rq_total", 1, labels | {"envoy_route": "token-00000000000b"}),
    ]

    assert token_uses(counted) == {"token-0a7651f82b16": 5, "token-00000000000b": 1}


def test_what_is_counted_from_nothing_again_has_grown() -> None:
    assert grown({"a": 5, "b": 5, "c": 5}, {"a": 5, "b": 6, "c": 2, "d": 1, "e": 0}) == ["b", "c", "d"]
