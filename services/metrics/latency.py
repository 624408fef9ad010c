"""Durations of requests: histograms in windows, and quantiles of them.

Bounds are those of the gateways' Envoys. A quantile is off by at most the width of the bucket that it is in:
1 ms up to 8 ms, 2 to 3 ms up to 20 ms, at most 22 % up to 5 s.
"""

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from easel.envoy.v1 import envoy_metrics_pb2 as pb
from services.metrics.rings import Floats, Rings, Rows
from services.metrics.tables import roomy

BOUNDS_MS = (
    *(1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 17, 20, 24, 29, 35, 42, 50, 60, 72, 86),
    *(100, 120, 140, 170, 200, 240, 290, 350, 420, 500, 600, 720, 860),
    *(1_000, 1_200, 1_400, 1_700, 2_000, 2_400, 2_900, 3_500, 4_200, 5_000, 7_000),
    *(10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000),
)
# A bucket for each bound, one for what is longer than all, and the sum in milliseconds.
BUCKETS = len(BOUNDS_MS) + 1
_EDGES = np.array((0, *BOUNDS_MS, BOUNDS_MS[-1]), dtype=np.float64)


class Latency:
    """Histograms by row of services: [bucket or sum, row]."""

    def __init__(self) -> None:
        self._rings = Rings(BUCKETS + 1, 16)
        self._rows = 16

    @property
    def bytes(self) -> tuple[int, int]:
        """What the windows take once every row was written to, by the second and by ten seconds."""
        return self._rings.bytes

    def add(self, rows: Rows, amounts: Floats, begin: float, end: float) -> None:
        """Adds requests that ended from `begin` to `end`: `amounts[bucket, n]`, not cumulative, and last the
        sum of their milliseconds. No row may be named twice."""
        self._rings.add(rows, amounts, begin, end)

    def make_room(self, rows: int) -> None:
        """Makes room for so many rows."""
        if rows > self._rows:
            self._rows = roomy(rows)
            self._rings.resize(self._rows)

    def clear(self, row: int) -> None:
        """Forgets what was added to a row."""
        if row < self._rows:
            self._rings.clear(row)

    def window(self, seconds: float, until: float) -> Floats:
        """The histogram over a window of each row: [bucket or sum, row]; for `quantiles` and `means`."""
        return self._rings.total(seconds, until)


def quantiles(histograms: Floats, of: float) -> Floats:
    """The `of` quantile (0 to 1) of each column of `histograms[bucket or sum, row]`, in milliseconds.

    NaN where nothing is in it. Between the bounds of a bucket it is interpolated; what is longer than the
    last bound is said to be that.
    """
    counts = histograms[:BUCKETS]
    below = np.cumsum(counts, axis=0)
    total = below[-1]
    rank = of * total
    bucket = np.minimum((below < rank).sum(axis=0), BUCKETS - 1)
    columns = np.arange(counts.shape[1])
    inside = counts[bucket, columns]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.clip((rank - (below[bucket, columns] - inside)) / inside, 0.0, 1.0)
    low, high = _EDGES[bucket], _EDGES[bucket + 1]
    return np.where(total > 0, low + (high - low) * share, np.nan)


def means(histograms: Floats) -> Floats:
    """The mean duration of each column in milliseconds; NaN where nothing is in it."""
    total = histograms[:BUCKETS].sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(total > 0, histograms[BUCKETS] / total, np.nan)


def from_envoy(told: Sequence[pb.Histogram]) -> Floats:
    """Histograms of an Envoy, cumulative by bucket, as [n, bucket or sum]."""
    found = np.zeros((len(told), BUCKETS + 1))
    for row, histogram in zip(found, told, strict=True):
        below = [bucket.cumulative_count for bucket in histogram.bucket]
        if len(below) != len(BOUNDS_MS):
            below = _between(histogram)
        row[: BUCKETS - 1] = below
        row[BUCKETS - 1] = histogram.sample_count
        row[BUCKETS] = histogram.sample_sum
    found[:, 1:BUCKETS] = np.maximum(0, np.diff(found[:, :BUCKETS], axis=1))
    return found


def _between(histogram: pb.Histogram) -> list[int]:
    """The counts below our bounds of an Envoy that was given others: those of its bound below each."""
    bounds = [bucket.upper_bound for bucket in histogram.bucket]
    below = [0, *(bucket.cumulative_count for bucket in histogram.bucket)]
    return [below[bisect_right(bounds, bound)] for bound in BOUNDS_MS]
