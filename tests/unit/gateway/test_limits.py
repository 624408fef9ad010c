"""Which bounds are in force, what is said of them, and how versions share them."""

from datetime import timedelta

import pytest

from services.gateway.routes import Backend, Endpoint, Limits, Service
from services.gateway.routing.limits import (
    CONCURRENCY_KEY,
    QUEUE_KEY,
    RATE_KEY,
    RATE_PER_INSTANCE_KEY,
    bounds,
    shares,
)


def a_service(*ready: int, **limits: int) -> Service:
    """Versions 1, 2, … with so many ready instances each."""
    backends = tuple(
        Backend(version, tuple(Endpoint(f"i-{version}-{at}", "10.0.0.1", at) for at in range(count)))
        for version, count in enumerate(ready, start=1)
    )
    return Service("svc", backends=backends, limits=Limits(**limits))


def test_a_service_that_names_no_limit_has_only_its_keepalive() -> None:
    found = bounds(a_service(3))

    assert (found.rate, found.in_flight, found.keepalive) == (None, None, timedelta(seconds=5))
    assert found.rules == ("metadata.rpc.keepalive: 408 when no answer has begun after 5000 ms",)


def test_a_grpc_service_is_bounded_by_its_calls_deadlines_alone() -> None:
    assert bounds(Service("svc", grpc=True)).rules == ()


@pytest.mark.parametrize(
    ("ready", "limits", "most", "key"),
    [
        (3, {"rate_per_instance": 5}, 15, RATE_PER_INSTANCE_KEY),
        (0, {"rate_per_instance": 5}, 5, RATE_PER_INSTANCE_KEY),
        (3, {"rate": 20}, 20, RATE_KEY),
        (3, {"rate": 20, "rate_per_instance": 5}, 15, RATE_PER_INSTANCE_KEY),
        (5, {"rate": 20, "rate_per_instance": 5}, 20, RATE_KEY),
        (4, {"rate": 20, "rate_per_instance": 5}, 20, RATE_KEY),
    ],
)
def test_the_tighter_rate_is_in_force_and_named(
    ready: int, limits: dict[str, int], most: int, key: str
) -> None:
    rate = bounds(a_service(ready, **limits)).rate

    assert rate is not None
    assert (rate.most, rate.key, rate.status) == (most, key, 429)


@pytest.mark.parametrize(
    ("ready", "limits", "most", "key", "status"),
    [
        (2, {"concurrency": 9}, 9, CONCURRENCY_KEY, 429),
        (2, {"in_flight_per_instance": 69}, 138, QUEUE_KEY, 450),
        (0, {"in_flight_per_instance": 69}, 69, QUEUE_KEY, 450),
        (2, {"concurrency": 9, "in_flight_per_instance": 4}, 8, QUEUE_KEY, 450),
        (3, {"concurrency": 9, "in_flight_per_instance": 4}, 9, CONCURRENCY_KEY, 429),
    ],
)
def test_the_tighter_bound_in_flight_is_in_force_and_named(
    ready: int, limits: dict[str, int], most: int, key: str, status: int
) -> None:
    in_flight = bounds(a_service(ready, **limits)).in_flight

    assert in_flight is not None
    assert (in_flight.most, in_flight.key, in_flight.status) == (most, key, status)


def test_a_refusal_names_the_key_the_bound_and_what_to_do() -> None:
    service = a_service(3, rate_per_instance=5, in_flight_per_instance=7)

    rate, in_flight = bounds(service).rate, bounds(service).in_flight

    assert rate is not None and in_flight is not None
    assert rate.refusal == (
        "metadata.rpc.rate_limit allows 15 requests a second, 5 for each of 3 ready instances: ask again"
        " after a second, or add instances"
    )
    assert in_flight.refusal == (
        "metadata.rpc.worker_threads and metadata.rpc.max_queue_size allow 21 requests in flight, 7 for each"
        " of 3 ready instances: ask again when one has ended, or add instances"
    )


@pytest.mark.parametrize(
    ("ready", "limits", "expected"),
    [
        ((2,), {}, {}),
        ((2,), {"rate": 5}, {}),
        ((2,), {"concurrency": 9}, {1: 9}),
        ((2, 1), {"concurrency": 9}, {1: 6, 2: 3}),
        ((1, 1), {"concurrency": 9}, {1: 4, 2: 5}),
        ((50, 1), {"concurrency": 2}, {1: 1, 2: 1}),
        ((1, 1, 1), {"concurrency": 1}, {1: 1, 2: 1, 3: 1}),
        ((3, 1), {"in_flight_per_instance": 4}, {1: 12, 2: 4}),
        ((3, 1), {"in_flight_per_instance": 4, "concurrency": 8}, {1: 6, 2: 2}),
        ((2, 0), {"in_flight_per_instance": 4, "concurrency": 8}, {1: 8, 2: 4}),
        ((0,), {"concurrency": 8}, {1: 8}),
    ],
)
def test_versions_share_what_may_be_in_flight_by_their_ready_instances(
    ready: tuple[int, ...], limits: dict[str, int], expected: dict[int, int]
) -> None:
    assert shares(a_service(*ready, **limits)) == expected
