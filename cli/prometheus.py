"""Measures as Prometheus has them: what is asked of its query_range API, and what it answers."""

import json
import math
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from libs.domain.errors import DeadlineExceeded, InvalidRequest, Unavailable

_SECONDS = 30.0
_POINTS = 3_000
_OF = '{{service="{service}"}}'
_STATUS = re.compile(r"status\[([1-5]xx)\]")
_PERCENTILE = re.compile(r"rt\[p(50|90|99)\]")
_CUSTOM = re.compile(r"custom\[([^\[\]]+)\](?:@([^\[\]]+)\[([^\[\]]*)\])?")
_DURATION = "easel_service_request_duration_seconds"
_QUERIES = {
    "qps": "sum(rate(easel_service_requests_total{of}[{step}]))",
    "qps1k": "1000 * sum(rate(easel_service_requests_total{of}[{step}]))",
    "in_flight": "sum(easel_service_requests_in_flight{of})",
    "waiting": "sum(easel_service_requests_waiting{of})",
    "concurrency": "sum(easel_service_requests_in_flight{of}) + sum(easel_service_requests_waiting{of})",
    "errors": 'sum(rate(easel_service_requests_total{{service="{service}",code_class="5xx"}}[{step}]))',
    "error_rate": 'sum(rate(easel_service_requests_total{{service="{service}",code_class="5xx"}}[{step}]))'
    " / sum(rate(easel_service_requests_total{of}[{step}]))",
    "rt[avg]": f"1000 * sum(rate({_DURATION}_sum{{of}}[{{step}}]))"
    f" / sum(rate({_DURATION}_count{{of}}[{{step}}]))",
    "refused": "sum(rate(easel_service_requests_refused_total{of}[{step}]))",
    "bytes_in": "sum(rate(easel_service_request_bytes_total{of}[{step}]))",
    "bytes_out": "sum(rate(easel_service_response_bytes_total{of}[{step}]))",
    "cpu": "100 * avg(rate(easel_instance_cpu_seconds_total{of}[{step}])"
    " / on(instance) group_left() easel_instance_cpu_limit_cores{of})",
    "memory": "100 * avg(easel_instance_memory_bytes{of}"
    " / on(instance) group_left() easel_instance_memory_limit_bytes{of})",
    "memory_bytes": "avg(easel_instance_memory_bytes{of})",
    "gpu": "100 * avg(easel_gpu_utilization_ratio"
    " * on(gpu) group_left() max by(gpu) (easel_gpu_assigned{of}))",
    "gpu_memory": "100 * avg(easel_gpu_memory_used_bytes / easel_gpu_memory_total_bytes"
    " * on(gpu) group_left() max by(gpu) (easel_gpu_assigned{of}))",
    "instances": 'sum(easel_service_instances{{service="{service}",state="ready"}})',
    "wanted": "sum(easel_service_instances_wanted{of})",
}


def query_of(measure: str, service: str, step: timedelta) -> str:
    """The measure of a service in PromQL. Raises `InvalidRequest` for one that is not there. Pure."""
    over = f"{max(int(step.total_seconds()), 15)}s"
    if status := _STATUS.fullmatch(measure):
        labels = f'{{service="{service}",code_class="{status[1]}"}}'
        return f"sum(rate(easel_service_requests_total{labels}[{over}]))"
    if percentile := _PERCENTILE.fullmatch(measure):
        labels = f'{{service="{service}"}}'
        buckets = f"sum by(le) (rate({_DURATION}_bucket{labels}[{over}]))"
        return f"1000 * histogram_quantile(0.{percentile[1]}, {buckets})"
    if custom := _CUSTOM.fullmatch(measure):
        tags = f',tags=~"(.*,)?{custom[2]}={custom[3]}(,.*)?"' if custom[2] else ""
        return f'avg(easel_custom{{service="{service}",name="{custom[1]}"{tags}}})'
    known = _QUERIES.get(measure.replace("gpu[util]", "gpu"))
    if known is None:
        raise InvalidRequest("metricName", measure, "a measure that Prometheus has; `easel top` shows others")
    return known.format(of=_OF.format(service=service), service=service, step=over)


def step_of(length: timedelta) -> timedelta:
    """No finer than Prometheus looks, and no more points than it answers with. Pure."""
    return timedelta(seconds=max(15, math.ceil(length.total_seconds() / _POINTS)))


async def curve(
    url: str, measure: str, service: str, end: datetime, length: timedelta
) -> list[tuple[datetime, float]]:
    """The measure over the time before `end`. Raises `Unavailable`, `DeadlineExceeded`, `InvalidRequest`."""
    import httpx

    step = step_of(length)
    asked = {
        "query": query_of(measure, service, step),
        "start": str((end - length).timestamp()),
        "end": str(end.timestamp()),
        "step": str(step.total_seconds()),
    }
    address = f"{url.rstrip('/')}/api/v1/query_range"
    try:
        async with httpx.AsyncClient(timeout=_SECONDS, follow_redirects=True) as client:
            answer = await client.get(address, params=asked)
    except httpx.TimeoutException:
        raise DeadlineExceeded(f"Prometheus at {url} did not answer within {_SECONDS:g} s") from None
    except (httpx.HTTPError, httpx.InvalidURL) as away:
        raise Unavailable(f"no Prometheus answers at {url}: {away}") from away
    return points_of(answer.text, answer.status_code, url)


def points_of(text: str, status: int, url: str) -> list[tuple[datetime, float]]:
    """The points of an answer; those that are no numbers are left out. Pure."""
    try:
        told: dict[str, Any] = json.loads(text)
        if told["status"] != "success":
            raise Unavailable(f"Prometheus at {url} answered {status}: {told.get('error', 'no reason')}")
        series = told["data"]["result"]
        pairs = [(float(at), float(value)) for each in series[:1] for at, value in each["values"]]
    except (ValueError, KeyError, TypeError) as odd:
        raise Unavailable(f"{url} answered {status}, and not as Prometheus does") from odd
    return [(datetime.fromtimestamp(at, UTC), value) for at, value in pairs if math.isfinite(value)]
