"""Where the load for a replay comes from: a CSV file, the last hour of the metrics service, or Prometheus."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from libs.domain.errors import InvalidRequest

if TYPE_CHECKING:
    from easel_sdk.types import LoadPoint, MetricSeries

LONGEST = timedelta(hours=1)
# Seconds since 1970 are beyond this, seconds since the beginning of a curve are not.
_LONG_AGO = 1_000_000_000.0
_TIMES = ("at", "time", "timestamp", "seconds", "t")
# By measure and moment.
Curves = Mapping[str, Iterable[tuple[datetime, float]]]


def load_of_csv(text: str, name: str) -> "list[LoadPoint]":
    """The rows of a CSV file: a time (ISO 8601, or seconds), then a column for each measure. Pure.

    An empty cell is missing. Raises `InvalidRequest` with the line that is not right.
    """
    from easel_sdk.types import LoadPoint

    rows = csv.reader(io.StringIO(text))
    header = [cell.strip() for cell in next(rows, [])]
    if len(header) < 2 or header[0].lower() not in _TIMES:
        expected = 'a CSV file whose first line is a time and measures, such as "at,qps"'
        raise InvalidRequest("--replay", name, expected)
    points: list[LoadPoint] = []
    for row in rows:
        if not any(cell.strip() for cell in row):
            continue
        at = _moment(row[0].strip(), name, rows.line_num)
        values = {
            measure: _number(cell.strip(), name, rows.line_num)
            for measure, cell in zip(header[1:], row[1:], strict=False)
            if cell.strip()
        }
        if points and at <= points[-1].at:
            where = f"{name}, line {rows.line_num}"
            raise InvalidRequest("--replay", row[0], f"a later time than on the line before ({where})")
        points.append(LoadPoint(at, values))
    if len(points) < 2:
        raise InvalidRequest("--replay", name, "at least two lines with numbers below the first")
    return points


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
    from cli.quantities import length_of

    word, colon, length = text.partition(":")
    return length_of("--replay", length) if colon and word == "last" else None


def column(points: "Sequence[LoadPoint]", measure: str) -> list[tuple[datetime, float]]:
    """One measure of a load."""
    return [(each.at, each.values[measure]) for each in points if measure in each.values]


def _moment(text: str, name: str, line: int) -> datetime:
    try:
        seconds = float(text)
    except ValueError:
        pass
    else:
        begin = 0.0 if seconds >= _LONG_AGO else _LONG_AGO
        try:
            return datetime.fromtimestamp(begin + seconds, UTC)
        except (ValueError, OverflowError, OSError):
            pass
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        expected = f"a time such as 2030-01-31T12:00:00Z, or seconds ({name}, line {line})"
        raise InvalidRequest("--replay", text, expected) from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _number(text: str, name: str, line: int) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidRequest("--replay", text, f"a number ({name}, line {line})") from None
