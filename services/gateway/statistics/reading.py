"""From what Envoy counted to what a report says. Pure.

Envoy counts by cluster, so by version, whichever entry a request came in by; what it refused before it chose
a version is counted by service, and said under version 0.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from easel.common.v1 import common_pb2
from services.gateway.statistics.envoy_stats import Sample

# As long as names may be together; beyond that all services are read, for Envoy takes no longer question.
_LONGEST = 20_000
_OF_A_CLUSTER = (
    r"upstream_rq_(?:completed|[245]xx|active|active_overflow|per_try_timeout|time)|grpc\.(?:success|failure)"
)
_CLUSTER = "envoy_cluster_"
_REFUSED = "envoy_easel_refused"
_LATENCY = "envoy_cluster_upstream_rq_time_bucket"
# Envoy takes names apart at their dots, so that it may stand in the name or in a label.
_TOKEN = re.compile(r"\btoken-[0-9a-f]{12}\b|_token_(?P<hash>[0-9a-f]{12})_")
USE_COUNTERS = r"^vhost\..+\.route\..+\.upstream_rq_total$"


def traffic_names(services: Collection[str]) -> str:
    """The names under which Envoy counts what a report on these services says, as a regular expression."""
    named = "|".join(map(re.escape, sorted(services)))
    if len(named) > _LONGEST:
        named = "[^./]+"
    return rf"^(?:cluster\.(?:{named})/[0-9]+\.(?:{_OF_A_CLUSTER})$|easel\.refused\.service\.(?:{named})\.)"


def traffic(counted: Iterable[Sample], services: Collection[str]) -> list[common_pb2.ServiceTraffic]:
    """What was counted of these services, by name and version."""
    clusters: dict[tuple[str, int], dict[str, int]] = defaultdict(dict)
    latency: dict[tuple[str, int], dict[float, int]] = defaultdict(dict)
    before: dict[str, common_pb2.ServiceTraffic] = {}
    for sample in counted:
        if sample.name == _REFUSED:
            service = sample.labels.get("service", "")
            if service in services:
                report = before.setdefault(service, common_pb2.ServiceTraffic(service=service))
                _add_refused(report, sample)
            continue
        service, _, version = sample.labels.get("envoy_cluster_name", "").rpartition("/")
        if service not in services or not version.isdigit():
            continue
        if sample.name == _LATENCY:
            latency[service, int(version)][float(sample.labels["le"])] = int(sample.value)
        else:
            clusters[service, int(version)][_what(sample)] = int(sample.value)
    reports = [_of_a_version(*key, numbers, latency[key]) for key, numbers in clusters.items()]
    reports += [each for each in before.values() if each.rate_limited or each.requests]
    return sorted(reports, key=lambda each: (each.service, each.version))


def token_uses(counted: Iterable[Sample]) -> dict[str, int]:
    """How many requests each token let in, by what its uses are counted under, over all entries."""
    uses: dict[str, int] = defaultdict(int)
    for sample in counted:
        for place in (*sample.labels.values(), sample.name):
            found = _TOKEN.search(place)
            if found is not None:
                uses[f"token-{found['hash']}" if found["hash"] else found[0]] += int(sample.value)
                break
    return dict(uses)


def grown(before: Mapping[str, int], now: Mapping[str, int]) -> list[str]:
    """Which numbers are not what they were. One that fell has been counted from nothing again."""
    return [name for name, number in now.items() if number and number != before.get(name, 0)]


def _add_refused(report: common_pb2.ServiceTraffic, sample: Sample) -> None:
    """Beyond a rate, or as it waited for an instance; other refusals have nothing to do with the service."""
    number, flags = int(sample.value), sample.labels.get("flags", "").split(",")
    if "RL" in flags:
        report.rate_limited += number
        report.status_4xx += number
    elif "UAEX" in flags:
        report.requests += number
        report.status_5xx += number


def _what(sample: Sample) -> str:
    """What of a cluster was counted. Envoy says classes of status as a label."""
    name = sample.name.removeprefix(_CLUSTER)
    status_class = sample.labels.get("envoy_response_code_class", "")
    return f"upstream_rq_{status_class}xx" if status_class else name


def _of_a_version(
    service: str, version: int, numbers: Mapping[str, int], latency: Mapping[float, int]
) -> common_pb2.ServiceTraffic:
    """Envoy counts the gateway's own 408, 429 and 450 as the 504 and 503 that they were at first, and a call
    of gRPC that it refused both as a 503 and as a failed call."""
    overflowed = numbers.get("upstream_rq_active_overflow", 0)
    timed_out = numbers.get("upstream_rq_per_try_timeout", 0)
    failed = numbers.get("grpc_failure", 0)
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
        grpc_ok=numbers.get("grpc_success", 0),
        grpc_failed=failed,
        latency=[common_pb2.LatencyBucket(upper_ms=upper, count=latency[upper]) for upper in sorted(latency)],
    )
