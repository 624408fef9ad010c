"""Quantiles of merged histograms, within the bound that is stated."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.gateway.xds.bootstrap import LATENCY_BOUNDS_MS
from services.metrics.latency import BOUNDS_MS, BUCKETS, Latency, from_envoy, means, quantiles
from tests.support.counting_envoy import CountingEnvoy

DURATIONS = st.lists(st.floats(0.1, 4_999.0), min_size=1, max_size=300)


def told(durations: list[float]) -> "np.typing.NDArray[np.float64]":
    """These durations as Envoy would tell them."""
    envoy = CountingEnvoy()
    for duration in durations:
        envoy.serve("echo/1", ms=duration)
    name = "cluster.echo/1.upstream_rq_time"
    family = next(each for each in envoy.families() if each.name == name)
    return from_envoy([family.metric[0].histogram])


def test_bounds_are_those_that_envoys_are_told() -> None:
    assert BOUNDS_MS == LATENCY_BOUNDS_MS


@settings(deadline=None, max_examples=100)
@given(DURATIONS, DURATIONS, st.sampled_from((0.5, 0.9, 0.99)))
@example([1.0, 1401.0], [1701.0, 1701.0], 0.5)
def test_a_quantile_of_merged_histograms_is_in_the_bucket_of_the_exact_one(
    first: list[float], second: list[float], of: float
) -> None:
    merged = (told(first) + told(second)).T
    exact = float(np.quantile(first + second, of, method="inverted_cdf"))

    estimated = float(quantiles(merged, of)[0])

    # Between 10 ms and 5 s bounds are at most 22 % apart; below they are a millisecond, or two.
    assert abs(estimated - exact) <= max(2.0, exact * 0.22)


@settings(deadline=None)
@given(DURATIONS)
def test_the_mean_is_exact(durations: list[float]) -> None:
    assert means(told(durations).T)[0] == pytest.approx(np.mean(durations))


def test_nothing_has_no_quantile() -> None:
    nothing = np.zeros((BUCKETS + 1, 1))

    assert np.isnan(quantiles(nothing, 0.5)[0])
    assert np.isnan(means(nothing)[0])


def test_what_is_longer_than_every_bound_is_said_to_be_the_last() -> None:
    assert quantiles(told([900_000.0]).T, 0.5)[0] == BOUNDS_MS[-1]


def test_histograms_of_a_window_are_those_that_came_in_it() -> None:
    latency = Latency()
    latency.make_room(1)
    for second, duration in enumerate((3.0, 3.0, 700.0)):
        begin = 1_000.0 + second
        latency.add(np.array([0]), told([duration]).T, begin, begin + 1)

    assert quantiles(latency.window(1, 1_003.0), 0.5)[0] > 600
    assert quantiles(latency.window(3, 1_003.0), 0.5)[0] < 4
