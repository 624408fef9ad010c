"""What was used and what it cost: times as people write them, prices from a table, sums in rows. Pure."""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from operator import attrgetter

import typer

from cli.output import Columns
from easel_sdk.types import UsageSum
from libs.domain.errors import InvalidRequest

BY = ("service", "resource_group", "instance_type", "workspace", "pool")
_HOUR_MS = 3_600_000
_AGO = re.compile(r"(\d{1,5})([mhdw])")
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PRICES = ("resource_group", "instance_type", "price_per_hour")
_EXPECTED = (
    "a date such as 2030-01-31, a time such as 2030-01-31T12:00Z, today, yesterday, now, or 7d for ago"
)
_NOTHING = UsageSum("", "", "", "", "", 0, 0, 0, 0, 0.0)
Prices = Mapping[tuple[str, str], float]


def moment_of(option: str, text: str, now: datetime) -> datetime:
    """A date (its first moment in UTC), a time, `today`, `yesterday`, `now`, or `7d` for so long ago.

    Ends the command with a usage error on anything else.
    """
    word = text.strip().lower()
    day = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    named = {"now": now, "today": day, "yesterday": day - timedelta(days=1)}
    if word in named:
        return named[word]
    try:
        if ago := _AGO.fullmatch(word):
            return now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        found = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{option}: got {text!r}, expected {_EXPECTED}") from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def prices_of(text: str, name: str) -> Prices:
    """A table of prices by resource group and instance type; an empty cell stands for all.

    Raises `InvalidRequest` with the line that is not right.
    """
    rows = csv.DictReader(io.StringIO(text))
    header = ",".join(_PRICES)
    if sorted(rows.fieldnames or ()) != sorted(_PRICES):
        raise InvalidRequest("--prices", name, f"a CSV file whose first line is {header}")
    found: dict[tuple[str, str], float] = {}
    for row in rows:
        given = (row["price_per_hour"] or "").strip()
        try:
            price = float(given)
        except ValueError:
            price = -1.0
        if not 0 <= price < float("inf"):
            raise InvalidRequest("--prices", given, f"a price an hour ({name}, line {rows.line_num})")
        found[(row["resource_group"] or "").strip(), (row["instance_type"] or "").strip()] = price
    return found


def price_of(prices: Prices, resource_group: str, instance_type: str) -> float | None:
    """The price of the nearest line of the table: group and type, type alone, group alone, all."""
    for key in ((resource_group, instance_type), ("", instance_type), (resource_group, ""), ("", "")):
        if key in prices:
            return prices[key]
    return None


def priced(sums: Sequence[UsageSum], prices: Prices) -> tuple[list[float], list[str]]:
    """What each sum costs by a table, and what the table has no price for, in a word each."""
    costs, missing = [], []
    for each in sums:
        price = price_of(prices, each.resource_group, each.instance_type)
        if price is None:
            missing.append(f"{each.instance_type or 'no instance type'} in {each.resource_group}")
        costs.append(each.instance_ms / _HOUR_MS * (price or 0.0))
    return costs, sorted(set(missing))


def added_up(sums: Sequence[UsageSum], costs: Sequence[float], by: Sequence[str]) -> list[UsageSum]:
    """The sums with their costs, added up by fewer keys, in order of the keys."""
    found: dict[tuple[str, ...], UsageSum] = {}
    for each, cost in zip(sums, costs, strict=True):
        keys = {name: getattr(each, name) if name in by else "" for name in BY}
        before = found.get(tuple(keys.values()), _NOTHING)
        found[tuple(keys.values())] = UsageSum(
            **keys,
            instance_ms=before.instance_ms + each.instance_ms,
            gpu_ms=before.gpu_ms + each.gpu_ms,
            cpu_milli_ms=before.cpu_milli_ms + each.cpu_milli_ms,
            memory_mib_ms=before.memory_mib_ms + each.memory_mib_ms,
            cost=before.cost + cost,
        )
    return [found[key] for key in sorted(found)]


def told(each: UsageSum, by: Sequence[str]) -> dict[str, object]:
    """For programs and for CSV: the keys, hours, and the exact sums."""
    return {
        **{name: getattr(each, name) for name in by},
        "instance_hours": round(each.instance_ms / _HOUR_MS, 6),
        "gpu_hours": round(each.gpu_ms / _HOUR_MS, 6),
        "cpu_hours": round(each.cpu_milli_ms / _HOUR_MS / 1000, 6),
        "memory_gib_hours": round(each.memory_mib_ms / _HOUR_MS / 1024, 6),
        "cost": round(each.cost, 6),
        "instance_ms": each.instance_ms,
        "gpu_ms": each.gpu_ms,
        "cpu_milli_ms": each.cpu_milli_ms,
        "memory_mib_ms": each.memory_mib_ms,
    }


def csv_text(sums: Sequence[UsageSum], by: Sequence[str]) -> str:
    """One line a sum below the names of the columns."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(told(_NOTHING, by)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(told(each, by) for each in sums)
    return text.getvalue()


def usage_columns(by: Sequence[str]) -> Columns[UsageSum]:
    """The keys, and hours of what was held."""
    return (
        *((name.upper().replace("_", " "), attrgetter(name)) for name in by),
        ("INSTANCE HOURS", lambda each: f"{each.instance_ms / _HOUR_MS:.2f}"),
        ("GPU HOURS", lambda each: f"{each.gpu_ms / _HOUR_MS:.2f}"),
        ("CPU HOURS", lambda each: f"{each.cpu_milli_ms / _HOUR_MS / 1000:.2f}"),
        ("GIB HOURS", lambda each: f"{each.memory_mib_ms / _HOUR_MS / 1024:.2f}"),
        ("COST", lambda each: f"{each.cost:.2f}"),
    )
