"""Sums by the second for five minutes and by ten seconds for an hour, in arrays that never grow with time.

What is summed is spread over the time that it belongs to, so that the sum over a window is what happened in
it whenever it was told of. Times are seconds, whichever clock they are of, as long as it never goes back.
"""

from collections.abc import Iterator
from math import floor

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Rows as their numbers, or all up to one.
Rows = NDArray[np.intp] | slice
FINE_S, COARSE_S = 1, 10
# For so long sums are kept by the second, and by ten seconds.
FINE_FOR_S, LONGEST_S = 300, 3600


class _Ring:
    """One resolution: `sums[slot, column, row]`, a slot for `step` seconds."""

    def __init__(self, step: int, span: int, columns: int, rows: int) -> None:
        self.step = step
        # One more than the span, for a window seldom begins with a slot; and one that is being filled.
        self.slots = span // step + 2
        # The slot that was written to first, and the one that is being filled.
        self.oldest = self.newest = -1
        self.sums = np.zeros((self.slots, columns, rows), dtype=np.float32)

    def resize(self, rows: int) -> None:
        # Memory is taken when it is first written to: what is empty is not copied.
        wider = np.zeros((*self.sums.shape[:2], rows), dtype=np.float32)
        for slot in range(max(self.oldest, self.newest - self.slots + 1), self.newest + 1):
            wider[slot % self.slots, :, : self.sums.shape[2]] = self.sums[slot % self.slots]
        self.sums = wider

    def add(self, rows: Rows, amounts: Floats, begin: float, end: float) -> None:
        self._advance(floor(end / self.step))
        self.oldest = min(self.oldest, floor(begin / self.step))
        length = end - begin
        for slot, seconds in self._slots(begin, end):
            share = seconds / length
            self.sums[slot % self.slots][:, rows] += amounts if share == 1 else amounts * share

    def total(self, seconds: float, until: float, columns: slice) -> Floats:
        found = np.zeros(self.sums[0, columns].shape)
        for slot, overlap in self._slots(until - seconds, until):
            # The newest slot holds nothing yet from after `until`: all that is in it counts.
            whole = slot == self.newest or overlap == self.step
            share = 1.0 if whole else overlap / self.step
            sums = self.sums[slot % self.slots, columns]
            found += sums if share == 1 else sums * share
        return found

    def clear(self, row: int) -> None:
        self.sums[:, :, row] = 0

    def _slots(self, begin: float, end: float) -> Iterator[tuple[int, float]]:
        """The slots that are kept of this time, with how many seconds of it are in each."""
        first = max(floor(begin / self.step), self.newest - self.slots + 1)
        for slot in range(first, min(floor(end / self.step), self.newest) + 1):
            overlap = min(end, (slot + 1) * self.step) - max(begin, slot * self.step)
            if overlap > 0:
                yield slot, overlap

    def _advance(self, to: int) -> None:
        if self.newest < 0:
            self.oldest = self.newest = to
        for slot in range(max(self.newest + 1, to - self.slots + 1), to + 1):
            self.sums[slot % self.slots] = 0
        self.newest = max(self.newest, to)


class Rings:
    """Sums of `columns` for each row, in both resolutions."""

    def __init__(self, columns: int, rows: int) -> None:
        self._columns = columns
        self._fine = _Ring(FINE_S, FINE_FOR_S, columns, rows)
        self._coarse = _Ring(COARSE_S, LONGEST_S, columns, rows)

    @property
    def bytes(self) -> tuple[int, int]:
        """What the arrays take once every row was written to, by the second and by ten seconds."""
        return self._fine.sums.nbytes, self._coarse.sums.nbytes

    def resize(self, rows: int) -> None:
        """Makes room for so many rows; those that there are keep their sums."""
        self._fine.resize(rows)
        self._coarse.resize(rows)

    def add(self, rows: Rows, amounts: Floats, begin: float, end: float) -> None:
        """Spreads `amounts[column, n]` evenly from `begin` to `end`, which is later. Names no row twice."""
        self._fine.add(rows, amounts, begin, end)
        self._coarse.add(rows, amounts, begin, end)

    def total(self, seconds: float, until: float, columns: slice = slice(None)) -> Floats:
        """What was summed in the `seconds` before `until`, as [column, row].

        What began more than five minutes ago is known by ten seconds only.
        """
        kept_since = self._fine.newest - FINE_FOR_S
        ring = self._fine if until - seconds >= kept_since else self._coarse
        return ring.total(seconds, until, columns)

    def clear(self, row: int) -> None:
        """Forgets what was summed for a row, for the next that gets it."""
        self._fine.clear(row)
        self._coarse.clear(row)
