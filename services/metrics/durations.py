"""Durations of requests since ever, by service: what Prometheus is told."""

from collections.abc import Sequence

import numpy as np

from services.metrics.latency import BUCKETS
from services.metrics.rings import Floats


class Durations:
    """`counts[row, bucket or sum]`, not cumulative by bucket; the sum is in milliseconds."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self._free: list[int] = []
        self.counts: Floats = np.zeros((0, BUCKETS + 1))

    def add(self, services: Sequence[str], histograms: Floats) -> None:
        """Adds `histograms[n, bucket or sum]` of these services; one may be named several times."""
        places = np.fromiter(map(self._row, services), dtype=np.intp, count=len(services))
        np.add.at(self.counts, places, histograms)

    def forget(self, service: str) -> None:
        """Drops what was added of a service."""
        row = self.rows.pop(service, None)
        if row is not None:
            self.counts[row] = 0
            self._free.append(row)

    def _row(self, service: str) -> int:
        row = self.rows.get(service)
        if row is None:
            row = self.rows[service] = self._free.pop() if self._free else len(self.rows)
            if row >= len(self.counts):
                self.counts = np.pad(self.counts, ((0, max(16, row + row // 2) - len(self.counts)), (0, 0)))
        return row
