"""Where the load for a replay comes from: a CSV file, the metrics service, or Prometheus."""

import csv
import io
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import typer

from libs.domain.errors import InvalidRequest

if TYPE_CHECKING:
    from easel_sdk.types import LoadPoint, MetricSeries

# As much as can be played.
LONGEST_PLAYED = timedelta(days=31)
_MOST_POINTS = 200_000
_BY_SECOND, _BY_TEN_SECONDS, _MOST_OF_A_RANGE = timedelta(minutes=5), timedelta(hours=1), 3600
# Seconds since 1970 are beyond this, seconds since the beginning of a curve are not.
_LONG_AGO = 1_000_000_000.0
_LENGTH = re.compile(r"\d{1,9}[smhd]")
_TIMES = ("at", "time", "timestamp", "seconds", "t")
# The share of the time that was asked for, below which it is said how much there is.
_ENOUGH = 0.8
# By measure and moment.
Curves = Mapping[str, Iterable[tuple[datetime, float]]]


@dataclass(frozen=True)
class Load:
    """Two points or more in order of time. `zero` is what seconds are counted from, where those are all that
    is known of times."""

    points: "list[LoadPoint]"
    zero: datetime | None = None


def load_of_csv(text: str, name: str) -> Load:
    """The rows of a CSV file: a time (ISO 8601, or seconds), then a column for each measure. Pure.

    An empty cell is missing. Raises `InvalidRequest` with the line that is not right.
    """
    from easel_sdk.types import LoadPoint

    rows = csv.reader(io.StringIO(text))
    header = _header([cell.strip() for cell in next(rows, [])], name)
    points: list[LoadPoint] = []
    zero = None
    for row in rows:
        cells, where = [cell.strip() for cell in row], f"{name}, line {rows.line_num}"
        if not any(cells):
            continue
        at, relative = _moment(cells[0], where)
        if not points and relative:
            zero = datetime.fromtimestamp(_LONG_AGO, UTC)
        if extra := [cell for cell in cells[len(header) :] if cell]:
            raise InvalidRequest("--replay", extra[0], f"no more cells than in the first line ({where})")
        values = {
            measure: _number(cell, where)
            for measure, cell in zip(header[1:], cells[1:], strict=False)
            if cell
        }
        if points:
            _check_order(points, at, cells[0], where)
        points.append(LoadPoint(at, values))
    if not 2 <= len(points) <= _MOST_POINTS:
        most = "" if len(points) < 2 else f", and at most {_MOST_POINTS}"
        raise InvalidRequest("--replay", name, f"at least two lines with numbers below the first{most}")
    return Load(points, zero)


def _header(header: list[str], name: str) -> list[str]:
    if len(header) < 2 or header[0].lower() not in _TIMES:
        expected = 'a CSV file whose first line is a time and measures, such as "at,qps"'
        raise InvalidRequest("--replay", name, expected)
    for measure in header:
        if header.count(measure) > 1:
            raise InvalidRequest("--replay", measure, f"each column once ({name}, line 1)")
    return header


def _check_order(points: "Sequence[LoadPoint]", at: datetime, text: str, where: str) -> None:
    if at <= points[-1].at:
        raise InvalidRequest("--replay", text, f"a later time than on the line before ({where})")
    if at - points[0].at > LONGEST_PLAYED:
        expected = f"at most {LONGEST_PLAYED.days} days after the first time ({where})"
        raise InvalidRequest("--replay", text, expected)


def check_columns(
    points: "Sequence[LoadPoint]", metrics: Sequence[str], others: Collection[str], name: str
) -> list[str]:
    """What is to be said of a file's columns: those that are not used, and metrics that it lacks. Pure.

    `others` are used beside the metrics of the policy. Raises `InvalidRequest` when no column fits a metric.
    """
    found = dict.fromkeys(measure for each in points for measure in each.values)
    if metrics and not any(metric in found for metric in metrics):
        has = f"{name} with {', '.join(found)}" if found else f"{name} without a number"
        raise InvalidRequest("--replay", has, f"a column for a metric of the policy: {', '.join(metrics)}")
    unused = [each for each in found if each not in metrics and each not in others]
    said = [f"{name}: {each!r} is no metric of the policy, so that column is not used" for each in unused]
    return said + [missing_text(name, each) for each in metrics if each not in found]


def missing_text(where: str, metric: str) -> str:
    return f"{where} has no {metric}: while a metric is missing, nothing is scaled in"


def known_text(points: "Sequence[LoadPoint]", asked: timedelta) -> str:
    """How much is known where that is much less than was asked for, else nothing. Pure."""
    from cli.quantities import length_text

    known = points[-1].at - points[0].at
    if known >= _ENOUGH * asked:
        return ""
    return f"of the last {length_text(asked)} only {length_text(known)} are known, and played"


def load_of_curves(curves: Curves) -> "list[LoadPoint]":
    """One point for each moment of any curve, in order of time. Pure."""
    from easel_sdk.types import LoadPoint

    at: dict[datetime, dict[str, float]] = {}
    for measure, points in curves.items():
        for moment, value in points:
            at.setdefault(moment, {})[measure] = value
    return [LoadPoint(moment, at[moment]) for moment in sorted(at)]


def curves_of_series(series: "Iterable[MetricSeries]") -> dict[str, list[tuple[datetime, float]]]:
    return {each.measure: [(point.at, point.value) for point in each.points] for each in series}


def last_of(text: str) -> timedelta | None:
    """`last:6h` as its length; None for anything else, which is a file. Ends the command on a bad length."""
    from pathlib import Path

    from cli.quantities import length_of

    word, colon, length = text.partition(":")
    if not colon or word != "last":
        if (meant := _last_meant(text)) and not Path(text).exists():
            expected = "last:LENGTH or a CSV file"
            raise typer.BadParameter(f"--replay: got {text!r}, expected {expected}; did you mean {meant}?")
        return None
    found = length_of("--replay", length)
    if not timedelta(seconds=1) <= found <= LONGEST_PLAYED:
        raise typer.BadParameter(f"--replay: got {text!r}, expected last:1s to last:{LONGEST_PLAYED.days}d")
    return found


def _last_meant(text: str) -> str:
    """What a load was probably meant by that is nearly a length of time; empty for all others. Pure."""
    from difflib import get_close_matches

    word, _, length = text.rpartition(":")
    near = not word or get_close_matches(word.lower(), ["last"], cutoff=0.6)
    return f"last:{length}" if near and _LENGTH.fullmatch(length) else ""


def step_of(last: timedelta) -> timedelta:
    """As fine as numbers of so long ago are kept: a policy looks at seconds. Pure."""
    if last <= _BY_SECOND:
        return timedelta(seconds=1)
    if last <= _BY_TEN_SECONDS:
        return timedelta(seconds=10)
    return timedelta(minutes=math.ceil(last / _MOST_OF_A_RANGE / timedelta(minutes=1)))


def column(points: "Sequence[LoadPoint]", measure: str) -> list[tuple[datetime, float]]:
    """One measure of a load."""
    return [(each.at, each.values[measure]) for each in points if measure in each.values]


def _moment(text: str, where: str) -> tuple[datetime, bool]:
    """The time, and whether it is seconds since the beginning."""
    try:
        seconds = float(text)
    except ValueError:
        pass
    else:
        begin = 0.0 if seconds >= _LONG_AGO else _LONG_AGO
        try:
            return datetime.fromtimestamp(begin + seconds, UTC), begin > 0
        except (ValueError, OverflowError, OSError):
            pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        expected = f"a time such as 2030-01-31T12:00:00Z, or seconds ({where})"
        raise InvalidRequest("--replay", text, expected) from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC), False


def _number(text: str, where: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise InvalidRequest("--replay", text, f"a number of 0 or more ({where})")
    return found
