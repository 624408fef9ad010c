"""Which bounds a service's requests meet, what the refused ones are told, and each version's part of them.

A gateway counts for itself: each Envoy keeps the bounds whole. What is said per ready instance is said for
one where none is ready, so that a service does not start without bounds.
"""

from dataclasses import dataclass
from datetime import timedelta

from services.gateway.routes import Service

RATE_KEY = "networking.gateway_policy.rate_limit"
RATE_PER_INSTANCE_KEY = "metadata.rpc.rate_limit"
CONCURRENCY_KEY = "networking.gateway_policy.concurrency_limit"
QUEUE_KEY = "metadata.rpc.max_queue_size"
WORKERS_KEY = "metadata.rpc.worker_threads"
KEEPALIVE_KEY = "metadata.rpc.keepalive"

TOO_MANY_REQUESTS = 429
QUEUE_FULL = 450


@dataclass(frozen=True)
class Bound:
    """At most so many requests; one more gets `status` and `refusal`. `rule` is for explanations."""

    most: int
    key: str
    status: int
    refusal: str
    rule: str


@dataclass(frozen=True)
class Bounds:
    """What is in force for a service; None and zero mean no bound."""

    rate: Bound | None
    in_flight: Bound | None
    keepalive: timedelta

    @property
    def rules(self) -> tuple[str, ...]:
        """One sentence for each bound."""
        said = [each.rule for each in (self.rate, self.in_flight) if each is not None]
        if self.keepalive:
            milliseconds = self.keepalive // timedelta(milliseconds=1)
            said.append(f"{KEEPALIVE_KEY}: 408 when no answer has begun after {milliseconds} ms")
        return tuple(said)


def bounds(service: Service) -> Bounds:
    """The bounds of a service as it is: the tighter of what it names as a whole and for each instance.

    gRPC calls have deadlines of their own in place of the keepalive.
    """
    keepalive = timedelta(0) if service.grpc else service.keepalive
    return Bounds(_rate(service), _in_flight(service), keepalive)


def shares(service: Service) -> dict[int, int]:
    """How many requests in flight each version may have; empty where there is no bound.

    The parts of versions with ready instances are in proportion to these and add up to the bound, as far as
    each may have one.
    """
    limits = service.limits
    if not (limits.concurrency or limits.in_flight_per_instance):
        return {}
    total = sum(len(backend.endpoints) for backend in service.backends)
    parts: dict[int, int] = {}
    passed = given = 0
    for backend in service.backends:
        ready = len(backend.endpoints)
        parts[backend.version] = _tighter(limits.concurrency, limits.in_flight_per_instance * max(ready, 1))
        if ready and limits.concurrency:
            passed += ready
            part = limits.concurrency * passed // total - given
            given += part
            parts[backend.version] = _tighter(max(part, 1), limits.in_flight_per_instance * ready)
    return parts


def _rate(service: Service) -> Bound | None:
    limits, ready = service.limits, _ready(service)
    most = _tighter(limits.rate, limits.rate_per_instance * max(ready, 1))
    if not most:
        return None
    if most == limits.rate:
        key, what, cure = RATE_KEY, f"{most} requests a second", "raise it"
    else:
        each = _for_each(limits.rate_per_instance, ready)
        key, what, cure = RATE_PER_INSTANCE_KEY, f"{most} requests a second, {each}", "add instances"
    return Bound(
        most,
        key,
        TOO_MANY_REQUESTS,
        refusal=f"{key} allows {what}: ask again after a second, or {cure}",
        rule=f"{key}: {TOO_MANY_REQUESTS} above {what}",
    )


def _in_flight(service: Service) -> Bound | None:
    limits, ready = service.limits, _ready(service)
    most = _tighter(limits.concurrency, limits.in_flight_per_instance * max(ready, 1))
    if not most:
        return None
    if most == limits.concurrency:
        status, key, keys, cure = TOO_MANY_REQUESTS, CONCURRENCY_KEY, f"{CONCURRENCY_KEY} allows", "raise it"
        what = f"{most} requests in flight"
    else:
        status, key, keys, cure = (
            QUEUE_FULL,
            QUEUE_KEY,
            f"{WORKERS_KEY} and {QUEUE_KEY} allow",
            "add instances",
        )
        what = f"{most} requests in flight, {_for_each(limits.in_flight_per_instance, ready)}"
    return Bound(
        most,
        key,
        status,
        refusal=f"{keys} {what}: ask again when one has ended, or {cure}",
        rule=f"{key}: {status} above {what}",
    )


def _ready(service: Service) -> int:
    return sum(len(backend.endpoints) for backend in service.backends)


def _for_each(count: int, ready: int) -> str:
    return f"{count} for each of {ready} ready instances" if ready > 1 else f"{count} for an instance"


def _tighter(one: int, other: int) -> int:
    """The smaller of two bounds of which 0 is none."""
    return min(one or other, other or one)
