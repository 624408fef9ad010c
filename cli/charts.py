"""Numbers over time, drawn with characters."""

import math
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from cli.numbers import amount
from easel_sdk.types import MetricPoint

# One figure is shared by all of a process that draw.
_FIGURE = threading.Lock()
_TICKS = 5


def chart(
    title: str,
    points: Sequence[MetricPoint],
    begin: datetime,
    end: datetime,
    *,
    width: int,
    height: int,
    read: Callable[[float], str] = amount,
    steps: bool = False,
    whole: bool = False,
    when: Callable[[datetime], str] | None = None,
) -> str:
    """A line through the points, from 0 up, under its title; with `steps` each value stays until the next.

    Where there is no point there is a gap. `read` is how a value is written beside the axis, where `whole`
    leaves whole numbers alone; `when` how a moment is written below, else by how long before the end it is.
    """
    import plotext  # type: ignore[import-untyped]

    with _FIGURE:
        figure = plotext.figure
        figure.clear.all()
        figure.plot_size(max(width, 20), max(height, 6))
        figure.theme("clear")
        figure.title(title)
        span = max((end - begin).total_seconds(), 1.0)
        for line in _lines(points, steps):
            ages = [(each.at - end).total_seconds() for each in line]
            signal = figure.signal(ages, [each.value for each in line], marker="braille")
            signal.lines()
            figure.draw(signal)
        at = [-span * (_TICKS - 1 - each) / (_TICKS - 1) for each in range(_TICKS)]
        named = [when(end + timedelta(seconds=each)) if when else _when(each, end, span) for each in at]
        figure.ruler("x").lim(-span, 0)
        figure.ruler("x").ticks(at, named)
        most = max((each.value for each in points), default=0.0)
        top = most * 1.05 if most > 0 else 1.0
        figure.ruler("y").lim(0, top)
        levels = _whole_levels(most) if whole else [top * each / 4 for each in range(5)]
        figure.ruler("y").ticks(levels, [read(round(each, 2)) if each else "0" for each in levels])
        drawn: str = plotext.uncolorize(str(figure.build()))
    return "\n".join(row.rstrip() for row in drawn.splitlines()).strip("\n")


def _whole_levels(most: float) -> list[float]:
    """At most five whole numbers from 0 up."""
    step = max(math.ceil(most / 4), 1)
    return [float(each) for each in range(0, max(math.floor(most), 1) + 1, step)]


def _lines(points: Sequence[MetricPoint], steps: bool) -> list[list[MetricPoint]]:
    """The points in runs without a gap; a run begins after three times the usual distance."""
    found: list[list[MetricPoint]] = []
    spans = [(after.at - before.at).total_seconds() for before, after in pairwise(points)]
    usual = sorted(spans)[len(spans) // 2] if spans else math.inf
    for each in points:
        if steps and found:
            found[-1].append(MetricPoint(each.at, found[-1][-1].value))
        elif not found or (each.at - found[-1][-1].at).total_seconds() > 3 * usual:
            found.append([])
        found[-1].append(each)
    return found


def _when(age: float, end: datetime, span: float) -> str:
    """How long before the end, or for more than an hour the time of day in UTC."""
    if span > 3600:
        return (end + timedelta(seconds=age)).strftime("%H:%M")
    if age == 0:
        return "now"
    minutes, seconds = divmod(round(-age), 60)
    return f"-{minutes}m{seconds}s" if minutes and seconds else f"-{minutes}m" if minutes else f"-{seconds}s"
