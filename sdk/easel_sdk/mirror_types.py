"""Copies of requests and how their answers compare, as plain frozen values.

They are all in `easel_sdk.types` too. Shares are from 0 to 1, latencies in milliseconds.
"""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class ComparedPair:
    """The answers of a service and of a mirror's target to the same request."""

    at: datetime | None
    method: str
    path: str
    status: int
    target_status: int
    latency_ms: float
    target_latency_ms: float
    # Where the bodies differ: JSON paths with both values, or the sizes of both.
    differences: tuple[str, ...]


@dataclass(frozen=True)
class Comparison:
    """What the answers of a mirror's target were like beside the service's own, `since` then."""

    service: str
    target: str
    pairs: int
    same_status: int
    # Of those with the same status; JSON is compared by value.
    same_body: int
    # Pairs in which the target did not answer.
    unanswered: int
    # How much longer the target took; negative where it was faster.
    latency_difference_p50_ms: float
    latency_difference_p99_ms: float
    # The newest that differed.
    differing: tuple[ComparedPair, ...]
    since: datetime | None


@dataclass(frozen=True)
class Mirror:
    """Copies of a service's requests go to `targets`, `ratio` of a hundred; `compare` is a share of all."""

    service: str
    targets: tuple[str, ...]
    ratio: int
    compare: float
    created_at: datetime | None
    updated_at: datetime | None
    comparisons: tuple[Comparison, ...] = ()
    # What keeps a target from getting copies, one sentence each.
    notes: tuple[str, ...] = ()
