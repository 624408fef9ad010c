"""The page of results: what stands between markers is written by the benches, the rest by people. Pure."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bench.goals import Raw, goals_table

GOALS_MARK = "goals"
_RAW = re.compile(r"```json\n(.*?)\n```", re.DOTALL)


class NoMarker(Exception):
    """The page has no place for a part."""


@dataclass(frozen=True)
class Outcome:
    """One bench that was run. `raw` is None when it failed, and `text` then says why."""

    name: str
    text: str
    raw: Raw | None
    command: str
    seconds: float


@dataclass(frozen=True)
class Stamp:
    """When and on what it was run."""

    date: str
    machine: Mapping[str, str]
    versions: Mapping[str, str]


def section(outcome: Outcome, stamp: Stamp) -> str:
    """What stands between the markers of a bench."""
    told = [f"`{outcome.command}`, {stamp.date}, {outcome.seconds:.0f} s."]
    told += [f"Machine: {_listed(stamp.machine)}. Versions: {_listed(stamp.versions)}.", ""]
    if outcome.raw is None:
        return "\n".join([*told, f"Not measured: {outcome.text}"])
    raw = json.dumps(outcome.raw, ensure_ascii=False, separators=(",", ":"))
    wrapped = ["<details><summary>Raw numbers</summary>", "", "```json", raw, "```", "", "</details>"]
    return "\n".join([*told, outcome.text, "", *wrapped])


def _listed(facts: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items())


def updated(page: str, outcomes: Iterable[Outcome], names: Iterable[str], stamp: Stamp) -> str:
    """The page with these outcomes in their places, and the goals' table anew from all of `names`.

    Raises NoMarker when the page lacks a place.
    """
    for outcome in outcomes:
        page = put_section(page, outcome.name, section(outcome, stamp))
    raws = {name: raw for name in names if (raw := raw_of(page, name)) is not None}
    return put_section(page, GOALS_MARK, goals_table(raws))


def raw_of(page: str, name: str) -> Any:
    """The raw numbers that stand in a bench's place; None when there are none."""
    found = _place(name).search(page)
    numbers = _RAW.search(found.group(2)) if found else None
    return json.loads(numbers.group(1)) if numbers else None


def _place(name: str) -> re.Pattern[str]:
    mark = re.escape(name)
    return re.compile(rf"(<!-- {mark}:begin -->\n)(.*?)(<!-- {mark}:end -->)", re.DOTALL)


def put_section(page: str, name: str, content: str) -> str:
    if not _place(name).search(page):
        raise NoMarker(f"the page has no <!-- {name}:begin --> ... <!-- {name}:end -->")
    return _place(name).sub(lambda found: f"{found.group(1)}{content}\n{found.group(3)}", page, count=1)
