"""What was counted of a service's requests. Pure."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType

from easel.common.v1 import common_pb2

# Numbers that are older say nothing of how it goes now.
FRESH_FOR = timedelta(seconds=10)

_NONE: Mapping[float, int] = MappingProxyType({})


@dataclass(frozen=True)
class Totals:
    """Counts that only grow. `latency` says for each bound (ms, the last one infinite) how many requests took
    at most so long and longer than the bound before."""

    at: datetime
    requests: int = 0
    errors: int = 0
    latency: Mapping[float, int] = field(default_factory=lambda: _NONE)

    def since(self, earlier: "Totals") -> "Totals":
        """What was counted after `earlier`; nothing where that counted more."""
        return Totals(
            self.at,
            max(0, self.requests - earlier.requests),
            max(0, self.errors - earlier.errors),
            {b: max(0, n - earlier.latency.get(b, 0)) for b, n in self.latency.items()},
        )

    def plus(self, more: "Totals") -> "Totals":
        """Both together, at the time of `more`."""
        bounds = self.latency.keys() | more.latency.keys()
        latency = {b: self.latency.get(b, 0) + more.latency.get(b, 0) for b in bounds}
        return Totals(more.at, self.requests + more.requests, self.errors + more.errors, latency)

    @property
    def error_rate(self) -> float:
        """The share of requests that failed, 0 without requests."""
        return min(1.0, self.errors / self.requests) if self.requests else 0.0

    def quantile(self, q: float) -> float | None:
        """The latency in milliseconds that the share `q` of requests did not exceed; None without requests.

        Inside a bucket they are taken as spread evenly; of the last one only its lower bound is known.
        """
        count = sum(self.latency.values())
        if not count:
            return None
        rank, below, lower = q * count, 0, 0.0
        for upper in sorted(self.latency):
            inside = self.latency[upper]
            if inside and below + inside >= rank:
                if math.isinf(upper):
                    return lower
                return lower + (upper - lower) * max(0.0, rank - below) / inside
            below, lower = below + inside, (lower if math.isinf(upper) else upper)
        return lower

    def fresh(self, now: datetime) -> bool:
        """Whether the newest of it was counted lately."""
        return now - self.at <= FRESH_FOR


def totals_of(counted: Iterable[common_pb2.ServiceTraffic], at: datetime) -> Totals:
    """Some versions together. Failed are answers of 5xx, requests that nobody answered within the keepalive,
    and calls of gRPC that ended in an error."""
    whole = Totals(at)
    for each in counted:
        errors = each.status_5xx + each.timed_out + each.grpc_failed
        whole = whole.plus(Totals(at, each.requests, errors, _apart(each.latency)))
    return whole


def _apart(buckets: Iterable[common_pb2.LatencyBucket]) -> dict[float, int]:
    """Reports say how many took at most so long, shorter ones included."""
    apart: dict[float, int] = {}
    before = 0
    for bucket in sorted(buckets, key=lambda b: b.upper_ms):
        apart[bucket.upper_ms] = max(0, bucket.count - before)
        before = max(before, bucket.count)
    return apart
