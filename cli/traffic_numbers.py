"""What the counters of a gateway say: percentiles, and what came between two looks. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import partial

from cli.output import Columns
from easel_sdk.types import LatencyBucket, ServiceTraffic

_COUNTS = tuple(
    each.name
    for each in fields(ServiceTraffic)
    if each.name not in ("service", "version", "in_flight", "latency")
)
# In place of a version that was not chosen yet, and of latencies that are not known.
_UNKNOWN = "–"


@dataclass(frozen=True)
class Quantile:
    """A percentile in milliseconds; `at_least` when the bucket it lies in has no upper bound."""

    ms: float
    at_least: bool = False

    def __str__(self) -> str:
        text = (
            f"{self.ms / 1000:.1f} s" if self.ms >= 10_000 else f"{self.ms:.{0 if self.ms >= 100 else 1}f} ms"
        )
        return f">{text}" if self.at_least else text


def quantile(latency: Sequence[LatencyBucket], share: float) -> Quantile | None:
    """The latency that `share` of the requests stayed below, read within its bucket; None for none."""
    whole = latency[-1].count if latency else 0
    if whole <= 0:
        return None
    wanted = share * whole
    lower, below = 0.0, 0
    for bucket in latency:
        if bucket.count >= wanted and bucket.count > below:
            if bucket.upper_ms is None:
                return Quantile(lower, at_least=True)
            into = (wanted - below) / (bucket.count - below)
            return Quantile(lower + (bucket.upper_ms - lower) * max(into, 0.0))
        below = bucket.count
        lower = lower if bucket.upper_ms is None else bucket.upper_ms
    return None


def since(before: Sequence[ServiceTraffic], now: Sequence[ServiceTraffic]) -> list[ServiceTraffic]:
    """What was counted between two looks. A counter that began anew counts from 0."""
    known = {each.version: each for each in before}
    return [_between(known.get(each.version), each) for each in now]


def _between(before: ServiceTraffic | None, now: ServiceTraffic) -> ServiceTraffic:
    if before is None or now.requests < before.requests:
        return now
    counts = {name: max(getattr(now, name) - getattr(before, name), 0) for name in _COUNTS}
    earlier = {bucket.upper_ms: bucket.count for bucket in before.latency}
    latency = tuple(
        LatencyBucket(bucket.upper_ms, max(bucket.count - earlier.get(bucket.upper_ms, 0), 0))
        for bucket in now.latency
    )
    return replace(now, latency=latency, **counts)


def told(traffic: ServiceTraffic) -> dict[str, object]:
    """The numbers for programs, with the percentiles that people see."""
    quantiles = {f"p{share * 100:.0f}_ms": quantile(traffic.latency, share) for share in (0.5, 0.99)}
    rounded = {name: None if each is None else round(each.ms, 3) for name, each in quantiles.items()}
    return {each.name: getattr(traffic, each.name) for each in fields(ServiceTraffic)} | rounded


def rate_text(count: int, seconds: float) -> str:
    rate = count / seconds if seconds > 0 else 0.0
    return f"{rate:.0f}/s" if rate >= 10 or not rate else f"{rate:.1f}/s"


def traffic_columns(
    rows: Sequence[ServiceTraffic], seconds: float | None = None
) -> "Columns[ServiceTraffic]":
    """Counts, or with `seconds` how many a second; refusals and gRPC only where there are some."""
    shown = (
        ("REQUESTS", "requests"),
        ("2XX", "status_2xx"),
        ("4XX", "status_4xx"),
        ("5XX", "status_5xx"),
        ("RATE 429", "rate_limited"),
        ("FULL", "overflowed"),
        ("LATE 408", "timed_out"),
        ("GRPC OK", "grpc_ok"),
        ("GRPC FAILED", "grpc_failed"),
    )
    grpc = any(each.grpc_ok or each.grpc_failed for each in rows)
    return (
        ("VERSION", lambda each: each.version or _UNKNOWN),
        *(
            (title, partial(_count, name=name, seconds=seconds))
            for title, name in shown
            if grpc or not name.startswith("grpc")
        ),
        ("OPEN", lambda each: each.in_flight),
        ("P50", lambda each: quantile(each.latency, 0.5) or _UNKNOWN),
        ("P99", lambda each: quantile(each.latency, 0.99) or _UNKNOWN),
    )


def _count(traffic: ServiceTraffic, name: str, seconds: float | None) -> object:
    count: int = getattr(traffic, name)
    return count if seconds is None else rate_text(count, seconds)
