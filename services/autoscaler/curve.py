"""A number over time that keeps its value until the next one: means over any window of it, quickly. Pure."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise


class Curve:
    """Values from moments on, in order of time; None is a stretch of which nothing is known."""

    def __init__(self, times: Sequence[float], values: Sequence[float | None]) -> None:
        self._times, self._values = times, values
        spans = [after - before for before, after in pairwise(times)]
        pieces = list(zip(values, spans, strict=False))
        self._sums = [0.0, *accumulate((value or 0.0) * span for value, span in pieces)]
        self._known = [0.0, *accumulate(0.0 if value is None else span for value, span in pieces)]

    def mean(self, now: float, window_s: float) -> float | None:
        """The mean of what is known of the last so many seconds; None where nothing is known of now."""
        at = bisect_right(self._times, now) - 1
        if at < 0 or self._values[at] is None:
            return None
        begin = max(self._times[0], now - window_s)
        known = self._until(self._known, at, now) - self._until(self._known, *self._found(begin))
        if known <= 0:
            return self._values[at]
        return (self._until(self._sums, at, now) - self._until(self._sums, *self._found(begin))) / known

    def _found(self, moment: float) -> tuple[int, float]:
        return bisect_right(self._times, moment) - 1, moment

    def _until(self, sums: list[float], at: int, moment: float) -> float:
        value = self._values[at]
        span = moment - self._times[at]
        if sums is self._known:
            return sums[at] + (0.0 if value is None else span)
        return sums[at] + (value or 0.0) * span
