"""What programs post: read and refused by what their service declares, and kept until it is told."""

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from libs.domain.errors import EaselError

# As long as a value counts.
VALID_FOR = 60.0
# Of one instance.
MOST_SERIES = 100
MOST_VALUES = 1000
_LONGEST_TAG = 128

Tags = tuple[tuple[str, str], ...]


class Refused(EaselError):
    """What was posted is not taken, none of it, for the reason that the sentence tells its author."""


@dataclass(frozen=True)
class Value:
    """One number under a declared name."""

    name: str
    tags: Tags
    value: float


def values_of(body: bytes, declared: Mapping[str, frozenset[str]]) -> list[Value]:
    """What was posted. Raises Refused, in a sentence with the place, what is there and what is expected."""
    try:
        posted = json.loads(body)
    except ValueError as broken:
        raise Refused(f"the body is no JSON: {broken}") from broken
    except RecursionError:
        raise Refused("the body is nested too deeply") from None
    if not isinstance(posted, list):
        raise Refused('the body must be an array of {"name", "tags", "value"}')
    if len(posted) > MOST_VALUES:
        raise Refused(f"the body has {len(posted)} values, expected {MOST_VALUES} at most")
    return [_value_of(f"[{number}]", entry, declared) for number, entry in enumerate(posted)]


def _value_of(where: str, entry: Any, declared: Mapping[str, frozenset[str]]) -> Value:
    if not isinstance(entry, dict):
        raise Refused(f'{where}: got {_shown(entry)}, expected {{"name", "tags", "value"}}')
    name, tags, value = entry.get("name"), entry.get("tags") or {}, entry.get("value")
    if not isinstance(name, str) or name not in declared:
        known = ", ".join(declared) or "none"
        raise Refused(f"{where}.name: got {_shown(name)}, expected one of metrics in service.json: {known}")
    if not isinstance(tags, dict):
        raise Refused(f"{where}.tags: got {_shown(tags)}, expected an object")
    for tag, word in tags.items():
        if tag not in declared[name]:
            known = ", ".join(sorted(declared[name])) or "none"
            raise Refused(
                f"{where}.tags: got {_shown(tag)}, expected a tag of {name} in service.json: {known}"
            )
        if not isinstance(word, str) or len(word) > _LONGEST_TAG or not _is_text(word):
            expected = f"a text of {_LONGEST_TAG} characters at most"
            raise Refused(f"{where}.tags.{tag}: got {_shown(word)}, expected {expected}")
    number = _number(value)
    if number is None:
        raise Refused(f"{where}.value: got {_shown(value)}, expected a number")
    return Value(name, tuple(sorted(tags.items())), number)


def _is_text(word: str) -> bool:
    """Whether it can be told on: half of a pair of surrogates cannot, and would take all else along."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}…"


@dataclass
class _Kept:
    at: float
    value: float
    told: bool = False


class Posted:
    """The newest value of each name and tags of each instance, for a minute."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, dict[tuple[str, Tags], _Kept]] = {}

    def take(self, instance: str, values: Iterable[Value]) -> None:
        """Raises Refused when the instance would have too many names and tags at once."""
        now = self._clock()
        kept = {key: each for key, each in self._kept.get(instance, {}).items() if now - each.at <= VALID_FOR}
        kept |= {(each.name, each.tags): _Kept(now, each.value) for each in values}
        if len(kept) > MOST_SERIES:
            why = f"{len(kept)} different names and tags in a minute, expected {MOST_SERIES} at most"
            raise Refused(f"the instance posts {why}")
        self._kept[instance] = kept

    def untold(self) -> list[tuple[str, Value]]:
        """By instance, what was not told since it was posted. Forgets what counts no longer."""
        now = self._clock()
        for instance, kept in list(self._kept.items()):
            fresh = {key: each for key, each in kept.items() if now - each.at <= VALID_FOR}
            if fresh:
                self._kept[instance] = fresh
            else:
                del self._kept[instance]
        found = []
        for instance, kept in self._kept.items():
            for (name, tags), each in kept.items():
                if not each.told:
                    each.told = True
                    found.append((instance, Value(name, tags, each.value)))
        return found

    def tell_again(self) -> None:
        """Everything that still counts is untold: there may be a listener that knows nothing of it."""
        for kept in self._kept.values():
            for each in kept.values():
                each.told = False
