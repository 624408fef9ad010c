"""From what Envoy counted to what a report says. Pure.

Envoy counts by cluster, so by version, whichever entry a request came in by; what it refused before it chose
a version is counted by service, and said under version 0.
"""

import math
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from easel.common.v1 import common_pb2
from services.gateway.statistics.envoy_stats import Counted, Span

# Above so many services all are read: a pattern with their names would cost more.
_MOST_NAMED = 200
_OF_A_CLUSTER = (
    r"upstream_rq_(?:completed|[245]xx|active|active_overflow|per_try_timeout|time)|grpc\.(?:success|failure)"
)
_CLUSTER = re.compile(r"^cluster\.(?P<service>[^./]+)/(?P<version>\d+)\.(?P<what>.+)$")
_REFUSED = re.compile(r"^easel\.refused\.service\.(?P<service>[^.]+)\..*\bflags\.RL\b")
_TOKEN = re.compile(r"^vhost\..+\.route\.(?P<token>.+)\.upstream_rq_total$")
USE_COUNTERS = r"^vhost\..+\.route\..+\.upstream_rq_total$"

# Bounds of latency in milliseconds, a tenth of each other apart, to two digits as Envoy counts them.
LATENCY_BOUNDS: tuple[float, ...] = tuple(
    sorted({float(f"{10 ** (step / 24):.1e}") for step in range(24 * 5 + 1)})
)


def traffic_names(services: Collection[str]) -> str:
    """The names under which Envoy counts what a report on these services says, as a regular expression."""
    named = "|".join(map(re.escape, sorted(services))) if len(services) <= _MOST_NAMED else "[^./]+"
    return rf"^(?:cluster\.(?:{named})/[0-9]+\.(?:{_OF_A_CLUSTER})$|easel\.refused\.service\.(?:{named})\.)"


def traffic(counted: Counted, services: Collection[str]) -> list[common_pb2.ServiceTraffic]:
    """What was counted of these services, by name and version."""
    clusters: dict[tuple[str, int], dict[str, int]] = defaultdict(dict)
    before: dict[str, int] = defaultdict(int)
    for name, number in counted.numbers.items():
        found = _CLUSTER.match(name)
        if found is not None and found["service"] in services:
            clusters[found["service"], int(found["version"])][found["what"]] = number
            continue
        refused = _REFUSED.match(name)
        if refused is not None and refused["service"] in services:
            before[refused["service"]] += number
    reports = [
        _of_a_version(service, version, numbers, counted.spans)
        for (service, version), numbers in clusters.items()
    ]
    reports += [
        common_pb2.ServiceTraffic(service=service, status_4xx=number, rate_limited=number)
        for service, number in before.items()
    ]
    return sorted(reports, key=lambda each: (each.service, each.version))


def token_uses(counted: Counted) -> dict[str, int]:
    """How many requests each token let in, by its id, over all entries."""
    uses: dict[str, int] = defaultdict(int)
    for name, number in counted.numbers.items():
        found = _TOKEN.match(name)
        if found is not None:
            uses[found["token"]] += number
    return dict(uses)


def grown(before: Mapping[str, int], now: Mapping[str, int]) -> list[str]:
    """Which numbers are above what they were. One that fell has been counted from nothing again."""
    return [name for name, number in now.items() if number and number != before.get(name, 0)]


def latency_buckets(spans: Iterable[Span]) -> list[common_pb2.LatencyBucket]:
    """How many values each bound and those before it cover; the same bounds whatever was counted."""
    inside = [0] * (len(LATENCY_BOUNDS) + 1)
    for span in spans:
        # Envoy counts whole milliseconds, which lie at the lower end of its narrow spans.
        upper = span.lower if span.width <= 1 else span.lower + span.width
        inside[bisect_left(LATENCY_BOUNDS, upper)] += span.count
    buckets, covered = [], 0
    for bound, count in zip((*LATENCY_BOUNDS, math.inf), inside, strict=True):
        covered += count
        buckets.append(common_pb2.LatencyBucket(upper_ms=bound, count=covered))
    return buckets


def _of_a_version(
    service: str, version: int, numbers: Mapping[str, int], spans: Mapping[str, tuple[Span, ...]]
) -> common_pb2.ServiceTraffic:
    """Envoy counts the gateway's own 408, 429 and 450 as the 504 and 503 that they were at first, and a call
    of gRPC that it refused both as a 503 and as a failed call."""
    overflowed = numbers.get("upstream_rq_active_overflow", 0)
    timed_out = numbers.get("upstream_rq_per_try_timeout", 0)
    failed = numbers.get("grpc.failure", 0)
    told = min(overflowed + timed_out, numbers.get("upstream_rq_5xx", 0))
    return common_pb2.ServiceTraffic(
        service=service,
        version=version,
        requests=numbers.get("upstream_rq_completed", 0),
        status_2xx=numbers.get("upstream_rq_2xx", 0),
        status_4xx=numbers.get("upstream_rq_4xx", 0) + told,
        status_5xx=max(0, numbers.get("upstream_rq_5xx", 0) - told - failed),
        in_flight=numbers.get("upstream_rq_active", 0),
        overflowed=overflowed,
        timed_out=timed_out,
        grpc_ok=numbers.get("grpc.success", 0),
        grpc_failed=failed,
        latency=latency_buckets(spans.get(f"cluster.{service}/{version}.upstream_rq_time", ())),
    )
