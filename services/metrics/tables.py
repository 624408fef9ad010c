"""Rows of numbers by key, with their windows: one table a kind of thing.

A column is a SUM, which grows (requests, CPU seconds), or a LEVEL, which is (bytes in memory, requests in
flight). A window of a SUM is its growth a second, one of a LEVEL its mean over time. What was not reported is
missing, never 0: beside the columns it is kept for how long each row was reported on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from services.metrics.rings import Floats, Rings, Rows

_FEWEST_ROWS = 16
# A report that comes after a longer silence begins anew: nobody knows what was in between.
LONGEST_GAP_S = 3600.0
_NOTHING_S = 0.01


def roomy(rows: int) -> int:
    """For how many rows room is made when there are so many: windows are large, and copied when they grow."""
    return max(_FEWEST_ROWS, rows + rows // 8 + _FEWEST_ROWS)


class Column(Enum):
    """How a column is read."""

    SUM = "sum"
    LEVEL = "level"


@dataclass(frozen=True)
class Window:
    """Numbers of each row over a window: `means[column, row]`, NaN where nothing was reported in it, and how
    many seconds of it were reported on: `covered[row]`. A mean of a SUM is its growth a second.

    Where reports left a number out at times, its mean is that of the rest of the time."""

    means: Floats
    covered: Floats


class Table:
    """One kind. Rows are numbers from 0 up; one that was forgotten is given to the next new key."""

    def __init__(self, columns: dict[str, Column]) -> None:
        self.columns = tuple(columns)
        self._at = {name: number for number, name in enumerate(columns)}
        # Whether reports are taken here, so that `newest` tells what is missing.
        self.taken = False
        self._sums = np.array([kind is Column.SUM for kind in columns.values()])
        self._rows: dict[str, int] = {}
        self._free: list[int] = []
        self._rings = Rings(len(columns) + 1, _FEWEST_ROWS)
        # By row: the key or "", the newest number of each column (a SUM as it was reported), when that was.
        self.keys: list[str] = []
        self.newest: Floats = np.full((len(columns), _FEWEST_ROWS), np.nan)
        self.heard: Floats = np.full(_FEWEST_ROWS, -np.inf)
        # Of what reports may leave out: since when it is told at all, and for how long it was not after that,
        # by column. Most columns are told always, or never: then there is no ring.
        self._told_since: Floats = np.full((len(columns), _FEWEST_ROWS), np.inf)
        self._gaps: dict[int, Rings] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    @property
    def bytes(self) -> tuple[int, int]:
        """What the windows take once every row was written to, by the second and by ten seconds."""
        return self._rings.bytes

    def column(self, name: str) -> int:
        """The number of a column."""
        return self._at[name]

    def row(self, key: str) -> int:
        """The row of `key`, a new one if it has none."""
        row = self._rows.get(key)
        return self._new(key) if row is None else row

    def find(self, key: str) -> int | None:
        """The row of `key` where it has one."""
        return self._rows.get(key)

    def rows(self, keys: Sequence[str]) -> NDArray[np.intp]:
        """The rows of these keys; new ones for those that have none."""
        return np.fromiter(map(self.row, keys), dtype=np.intp, count=len(keys))

    def forget(self, key: str) -> None:
        """Frees the row of `key`, if it has one, with all that was in it."""
        row = self._rows.pop(key, None)
        if row is not None:
            self.keys[row] = ""
            self.newest[:, row], self.heard[row] = np.nan, -np.inf
            self._told_since[:, row] = np.inf
            for rings in (self._rings, *self._gaps.values()):
                rings.clear(row)
            self._free.append(row)

    def take(self, rows: NDArray[np.intp], values: Floats, at: float) -> None:
        """Takes one report on each of `rows`: `values[column, n]`, SUMs as they stand. NaN is not reported.

        The growth of a SUM is spread over the time since the report before; one that fell began anew, and a
        LEVEL counts for the time since the report before. A row may be named once.
        """
        before, since = self.newest[:, rows], self.heard[rows]
        fell = values < before
        growth = np.where(self._sums[:, None], values - np.where(fell, 0.0, before), 0.0)
        for begin in np.unique(since):
            which = since == begin
            if at - LONGEST_GAP_S < begin < at:
                span = np.full((1, int(which.sum())), at - begin)
                levels = values[:, which] * (at - begin)
                amounts = np.where(self._sums[:, None], growth[:, which], levels)
                self._rings.add(rows[which], np.vstack((np.nan_to_num(amounts), span)), begin, at)
                self._leave_out(rows[which], np.isnan(amounts), begin, at)
            else:
                self._first_told(rows[which], values[:, which], at)
        self.taken = True
        self.newest[:, rows] = values
        self.heard[rows] = at

    def spread(self, rows: Rows, amounts: Floats, begin: float, end: float) -> None:
        """Adds what is known to have happened from `begin` to `end`: `amounts[column, n]`, growth of SUMs and
        LEVEL times seconds. `cover` says for how long the rows were reported on."""
        nothing = np.zeros((1, amounts.shape[1]))
        self._rings.add(rows, np.vstack((amounts, nothing)), begin, end)

    def cover(self, rows: NDArray[np.intp], begin: float, end: float) -> None:
        """Says that rows were reported on from `begin` to `end`: what was not added is 0, not missing."""
        amounts = np.zeros((len(self.columns) + 1, len(rows)))
        amounts[-1] = end - begin
        self._rings.add(rows, amounts, begin, end)
        self.heard[rows] = np.maximum(self.heard[rows], end)

    def window(self, seconds: float, until: float) -> Window:
        """Numbers over the `seconds` before `until`, which began at most an hour ago: [column, row].

        Its arrays have a column for each of `keys`. By the second where it began in the last five minutes.
        """
        totals = self._rings.total(seconds, until)[:, : len(self.keys)]
        covered = totals[-1]
        told = self._told(covered, seconds, until) if self.taken else covered
        with np.errstate(divide="ignore", invalid="ignore"):
            means = np.where(told > 0, totals[:-1] / told, np.nan)
        return Window(means, covered)

    def _first_told(self, rows: Rows, values: Floats, at: float) -> None:
        since = self._told_since[:, rows]
        self._told_since[:, rows] = np.where(np.isnan(values), since, np.minimum(since, at))

    def _leave_out(
        self, rows: NDArray[np.intp], missing: NDArray[np.bool_], begin: float, end: float
    ) -> None:
        """Keeps in mind which columns `missing[column, n]` nothing is known of from `begin` to `end`."""
        for column in np.flatnonzero((missing & np.isfinite(self._told_since[:, rows])).any(axis=1)).tolist():
            if column not in self._gaps:
                self._gaps[column] = Rings(1, self.heard.size)
            gaps = np.where(missing[column], end - begin, 0.0)
            self._gaps[column].add(rows, gaps[None, :], begin, end)
        self._first_told(rows, np.where(missing, np.nan, 0.0), begin)

    def _told(self, covered: Floats, seconds: float, until: float) -> Floats:
        """For how many seconds of a window each column was told, of each row."""
        with np.errstate(invalid="ignore"):
            told = np.minimum(covered, until - self._told_since[:, : len(self.keys)])
        for column, rings in self._gaps.items():
            left = told[column] - rings.total(seconds, until)[0, : len(self.keys)]
            # Sums of parts of seconds are not exact.
            told[column] = np.where(left < _NOTHING_S, 0.0, left)
        return told

    def _new(self, key: str) -> int:
        if self._free:
            row = self._free.pop()
            self.keys[row] = key
        else:
            row = len(self.keys)
            self.keys.append(key)
            if row >= self.heard.size:
                self._widen(roomy(row))
        self._rows[key] = row
        return row

    def _widen(self, rows: int) -> None:
        self._rings.resize(rows)
        more = rows - self.heard.size
        self.newest = np.pad(self.newest, ((0, 0), (0, more)), constant_values=np.nan)
        self.heard = np.pad(self.heard, (0, more), constant_values=-np.inf)
        self._told_since = np.pad(self._told_since, ((0, 0), (0, more)), constant_values=np.inf)
        for rings in self._gaps.values():
            rings.resize(rows)
