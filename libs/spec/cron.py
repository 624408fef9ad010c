"""The times that a schedule names: six fields, the second first, or one of a few words that begin with `@`.

Fields are those of the clock in the time zone of the schedule. Where that clock is put forward, a time that
does not exist counts as the moment at which it goes on; where it is put back, a time that exists twice counts
as the first of the two. So a job is due once on every day, also on the two odd ones.
"""

import re
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

from cronsim import CronSim, CronSimError

from libs.domain.errors import InvalidSpec

_EXPECTED = (
    'six fields (second minute hour day-of-month month weekday) such as "0 30 8 * * MON-FRI", or one of '
    '@yearly, @monthly, @weekly, @daily, @hourly, "@every 6h", "@date 2030-12-31 08:00:00"'
)
_FIELDS = {
    "second": "a second from 0 to 59",
    "minute": "a minute from 0 to 59",
    "hour": "an hour from 0 to 23",
    "day-of-month": "a day of the month from 1 to 31 that these months have",
    "month": "a month from 1 to 12 or JAN to DEC",
    "day-of-week": "a weekday from 0 to 6 or SUN to SAT",
}
_NAMES = {
    "month": ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"),
    "day-of-week": ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"),
}
_WEEKDAY, _SUNDAY_AGAIN = "day-of-week", "7"
_WORDS = {
    "@yearly": "0 0 0 1 1 *",
    "@annually": "0 0 0 1 1 *",
    "@monthly": "0 0 0 1 * *",
    "@weekly": "0 0 0 * * 0",
    "@daily": "0 0 0 * * *",
    "@midnight": "0 0 0 * * *",
    "@hourly": "0 0 * * * *",
}
_SPAN = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,8})s)?", re.ASCII)
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
_BEGINNING = datetime(2000, 1, 1)  # any moment will do to see whether an expression can be read
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Schedule:
    """The times that one expression names, without end; `@date` names a single one. Compared by its text."""

    expression: str
    _after: Callable[[datetime, zoneinfo.ZoneInfo], datetime | None] = field(compare=False, repr=False)

    def next_after(self, moment: datetime, zone: zoneinfo.ZoneInfo) -> datetime | None:
        """The first time after `moment`, in UTC; None when there is none (within fifty years)."""
        return self._after(moment.astimezone(UTC), zone)

    def fires_on(self, day: date, zone: zoneinfo.ZoneInfo) -> bool:
        """Whether it names a time on that day of the zone's calendar."""
        begin, end = (instant(datetime.combine(each, time()), zone) for each in (day, day + _DAY))
        first = self.next_after(begin - _SECOND, zone)
        return first is not None and first < end


@lru_cache(maxsize=4096)
def parse(expression: str, path: str = "Schedule") -> Schedule:
    """Reads an expression. Raises InvalidSpec, which names `path`, when it is not one."""
    word, _, rest = expression.strip().partition(" ")
    match word.lower():
        case "@every":
            return Schedule(expression, _every(_span(rest.strip(), expression, path)))
        case "@date":
            return Schedule(expression, _once(_date(rest.strip(), expression, path)))
        case known if known in _WORDS and not rest.strip():
            return Schedule(expression, _fields(_WORDS[known]))
    fields = expression.split()
    if len(fields) != 6:
        raise InvalidSpec(path, expression, _EXPECTED)
    fields[3], fields[5] = (_any_day(each) for each in (fields[3], fields[5]))
    for name, text in zip(_FIELDS, fields, strict=True):
        if expected := _at_fault(name, text):
            raise InvalidSpec(path, expression, expected)
    fields[5] = ",".join(map(_to_saturday, fields[5].split(",")))
    read = " ".join(fields)
    try:
        CronSim(read, _BEGINNING)
    except (CronSimError, ValueError) as refused:
        expected = _FIELDS.get(str(refused).removeprefix("Bad "), _EXPECTED)
        raise InvalidSpec(path, expression, expected) from None
    return Schedule(expression, _fields(read))


def zone_of(name: str | None, path: str = "TimeZone") -> zoneinfo.ZoneInfo:
    """The time zone of that name, UTC without one. Raises InvalidSpec, naming `path`, when there is none."""
    try:
        return zoneinfo.ZoneInfo(name or "UTC")
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidSpec(
            path, name, 'a time zone such as "Europe/Berlin", "Asia/Shanghai" or "UTC"'
        ) from None


def instant(local: datetime, zone: zoneinfo.ZoneInfo) -> datetime:
    """The moment, in UTC, at which a clock in that zone first shows `local`, or passes over it."""
    before = local.replace(tzinfo=zone, fold=0)
    moment = before.astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == local:
        return moment
    # In a gap: the clock is put forward at some second between the two readings of `local`.
    low, high = before.replace(fold=1).astimezone(UTC), moment
    offset = high.astimezone(zone).utcoffset()
    while high - low > _SECOND:
        middle = low + timedelta(seconds=(high - low) // _SECOND // 2)
        if middle.astimezone(zone).utcoffset() == offset:
            high = middle
        else:
            low = middle
    return high


def _fields(expression: str) -> Callable[[datetime, zoneinfo.ZoneInfo], datetime | None]:
    def after(moment: datetime, zone: zoneinfo.ZoneInfo) -> datetime | None:
        for local in CronSim(expression, moment.astimezone(zone).replace(tzinfo=None)):
            due = instant(local, zone)
            if due > moment:
                return due
        return None

    return after


def _every(span: timedelta) -> Callable[[datetime, zoneinfo.ZoneInfo], datetime | None]:
    """At multiples of the span since 1970, so that it is the same whoever asks and whenever."""
    return lambda moment, _zone: _EPOCH + ((moment - _EPOCH) // span + 1) * span


def _once(local: datetime) -> Callable[[datetime, zoneinfo.ZoneInfo], datetime | None]:
    def after(moment: datetime, zone: zoneinfo.ZoneInfo) -> datetime | None:
        due = instant(local, zone)
        return due if due > moment else None

    return after


def _at_fault(name: str, text: str) -> str:
    """What was expected of a field whose numbers may be right and whose signs are not."""
    for term in text.split(","):
        span, slash, step = term.partition("/")
        if slash and not (step.isascii() and step.isdigit() and step.strip("0")):
            return f"a step of 1 or more behind the / of the {name} field"
        first, dash, last = span.partition("-")
        low, high = _number(name, first), _number(name, last)
        if dash and low is not None and high is not None and low > high:
            return f"a range of the {name} field that goes up, not down from {first} to {last}"
        if name == _WEEKDAY and _SUNDAY_AGAIN in (first, last):
            return _FIELDS[name]
    return ""


def _to_saturday(term: str) -> str:
    """Steps from a weekday on end with the week: the library would count Sunday once more, as 7."""
    span, slash, step = term.partition("/")
    return f"{span}-6/{step}" if slash and "-" not in span and span != "*" else term


def _number(name: str, text: str) -> int | None:
    names = _NAMES.get(name, ())
    if text.upper() in names:
        return names.index(text.upper()) + (name == "month")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _any_day(text: str) -> str:
    return "*" if text == "?" else text


def _span(text: str, expression: str, path: str) -> timedelta:
    found = _SPAN.fullmatch(text)
    hours, minutes, seconds = (int(part or 0) for part in found.groups()) if found else (0, 0, 0)
    span = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    if not span:
        raise InvalidSpec(
            path, expression, "@every with a span of a second or more, such as 30s, 15m or 1h30m"
        )
    return span


def _date(text: str, expression: str, path: str) -> datetime:
    try:
        read = datetime.strptime(text, "%Y-%m-%d %H:%M:%S")
        if not 1970 <= read.year < 9000:  # beyond that some zones have no UTC
            raise ValueError(text)
        return read
    except ValueError:
        raise InvalidSpec(
            path, expression, "@date YYYY-MM-DD hh:mm:ss, such as @date 2030-12-31 08:00:00"
        ) from None
