"""In what two answers to the same request differ. Pure."""

import json
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any

from services.gateway.comparing.sample import Answer

MOST_DIFFERENCES = 20
# Numbers that differ by less are the same: models sum in whichever order their threads end.
TOLERANCE = 1e-6
# How much of a value is shown, and how much a packed body may hold.
_SHOWN = 80
_LONGEST_PATH = 200
_LARGEST = 8 * 1024 * 1024
_MISSING = object()


@dataclass(frozen=True)
class Difference:
    """How a pair of answers differs; `untold` is why their bodies cannot be compared."""

    same_status: bool
    same_body: bool
    later_by: timedelta
    where: tuple[str, ...] = ()
    untold: str = ""

    @property
    def any(self) -> bool:
        """Whether the answers differ in what they say."""
        return not self.same_status or not (self.same_body or self.untold)


def compared(original: Answer, target: Answer) -> Difference:
    """Bodies are looked at where the status is the same: JSON by value, anything else by its bytes."""
    later_by = target.latency - original.latency
    if original.status != target.status:
        said = (f"status: {original.status} → {target.status}",)
        return Difference(same_status=False, same_body=False, later_by=later_by, where=said)
    untold = _untold(original) or _untold(target)
    if untold:
        return Difference(same_status=True, same_body=False, later_by=later_by, untold=untold)
    where = differences(original, target)
    return Difference(same_status=True, same_body=not where, later_by=later_by, where=where)


def differences(original: Answer, target: Answer) -> tuple[str, ...]:
    """Where the bodies differ, in a bounded number of short lines; empty where they do not."""
    ours, theirs = _unpacked(original), _unpacked(target)
    if ours == theirs or ours is None or theirs is None:
        return ()
    mine, yours = _parsed(ours), _parsed(theirs)
    if mine is not _MISSING and yours is not _MISSING:
        try:
            return tuple(islice(_differing("$", mine, yours), MOST_DIFFERENCES))
        except RecursionError:
            return ("nested too deep to say where",)
    return (_by_bytes(ours, theirs),)


def _untold(answer: Answer) -> str:
    if answer.content_type.startswith("text/event-stream"):
        return "a stream of events"
    if not answer.whole:
        return "longer than what is kept of an answer"
    if _unpacked(answer) is None:
        return f"packed as {answer.content_encoding[:40]}"
    return ""


def _unpacked(answer: Answer) -> bytes | None:
    """None for what is packed in a way that is not known, or badly, or to more than can be held."""
    how = answer.content_encoding.strip().lower()
    if how in ("", "identity"):
        return answer.body
    if how not in ("gzip", "deflate"):
        return None
    unpacking = zlib.decompressobj(zlib.MAX_WBITS | 32)
    try:
        body = unpacking.decompress(answer.body, _LARGEST)
    except zlib.error:
        return None
    return body if unpacking.eof else None


def _parsed(body: bytes) -> Any:
    """`_MISSING` for what is not JSON."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return _MISSING


def _differing(path: str, ours: Any, theirs: Any) -> Iterator[str]:
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in [*ours, *(key for key in theirs if key not in ours)]:
            yield from _differing(_at(path, key), ours.get(key, _MISSING), theirs.get(key, _MISSING))
    elif isinstance(ours, list) and isinstance(theirs, list):
        for index in range(max(len(ours), len(theirs))):
            yield from _differing(f"{path}[{index}]", _item(ours, index), _item(theirs, index))
    elif not _same(ours, theirs):
        yield f"{path[:_LONGEST_PATH]}: {_shown(ours)} → {_shown(theirs)}"


def _same(ours: Any, theirs: Any) -> bool:
    if _is_number(ours) and _is_number(theirs):
        return _same_number(ours, theirs)
    return type(ours) is type(theirs) and bool(ours == theirs)


def _same_number(ours: int | float, theirs: int | float) -> bool:
    if ours == theirs:
        return True
    try:
        if math.isnan(ours) and math.isnan(theirs):
            return True
        return math.isclose(ours, theirs, rel_tol=TOLERANCE)
    except OverflowError:  # whole numbers beyond what a float holds
        return False


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _item(items: list[Any], index: int) -> Any:
    return items[index] if index < len(items) else _MISSING


def _at(path: str, key: str) -> str:
    return f"{path}.{key}" if key.isascii() and key.isidentifier() else f"{path}[{_shown(key)}]"


def _shown(value: Any) -> str:
    if value is _MISSING:
        return "nothing"
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = f"a {type(value).__name__}"
    text = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
    # JSON may name halves of characters, which no text can hold.
    return text.encode(errors="replace").decode()


def _by_bytes(ours: bytes, theirs: bytes) -> str:
    if len(ours) != len(theirs):
        return f"{len(ours)} bytes → {len(theirs)} bytes"
    first = next(at for at, (a, b) in enumerate(zip(ours, theirs, strict=True)) if a != b)
    return f"{len(ours)} bytes each, from byte {first} on"
