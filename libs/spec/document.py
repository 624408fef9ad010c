"""From bytes, text or a mapping to plain JSON values: the one place where foreign input is first touched."""

import json
import math
from collections.abc import Mapping
from typing import NoReturn

from libs.domain.errors import InvalidSpec
from libs.spec.refusal import ROOT, Path, Words, refused

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
_LONGEST_SHOWN = 10**75
_INT64 = range(-(1 << 63), 1 << 63)


class _Repeated(dict[str, object]):
    """An object that named one key twice with different values."""

    key = ""


def load(document: str | bytes | Mapping[str, object]) -> dict[str, object]:
    """Returns a deep copy of the document as dicts, lists and scalars that JSON and a database can hold.

    Raises InvalidSpec for anything else: broken JSON, a key given twice with different values, NaN,
    integers beyond 64 bits, text that is not Unicode, nesting beyond 64 levels, more than 1 MiB of text.
    """
    try:
        value = _decode(document) if isinstance(document, str | bytes) else document
        if not isinstance(value, Mapping):
            raise refused((), _described(value), "a JSON object")
        return _object(value, ())
    except RecursionError:
        raise refused(
            (), Words("a deeply nested document"), f"at most {MAX_DEPTH} levels of nesting"
        ) from None


def same(left: object, right: object) -> bool:
    """Whether two JSON values are equal, telling `1` from `true` and `1.0`."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    return left == right


def _described(value: object) -> object:
    plain = value is None or isinstance(value, str | int | float | list | dict)
    return value if plain else Words(f"a Python {type(value).__name__}")


def _decode(document: str | bytes) -> object:
    if len(document) > MAX_BYTES:
        raise refused((), Words(f"{len(document)} characters"), f"a document of at most {MAX_BYTES} bytes")
    if isinstance(document, bytes):
        try:
            document = document.decode("utf-8")
        except UnicodeDecodeError as error:
            raise refused((), document[error.start : error.start + 8], "text in UTF-8") from None
    text = document.removeprefix("\ufeff")
    try:
        return json.loads(text, object_pairs_hook=_pairs, parse_constant=_not_json)
    except json.JSONDecodeError as error:
        near = text[error.pos : error.pos + 20] or Words("the end of the text")
        where = f"line {error.lineno}, column {error.colno}"
        raise refused((), near, f"valid JSON at {where}") from None
    except ValueError:
        raise refused((), Words("a number of thousands of digits"), "integers of at most 64 bits") from None


def _not_json(name: str) -> NoReturn:
    raise InvalidSpec(ROOT, Words(name), "valid JSON, which has no such number")


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    for key, value in pairs:
        if not same(found[key], value):
            repeated = _Repeated(found)
            repeated.key = key
            return repeated
    return found


def _object(value: Mapping[object, object], path: Path) -> dict[str, object]:
    if len(path) >= MAX_DEPTH:
        raise refused((), Words("a deeply nested value"), f"at most {MAX_DEPTH} levels of nesting")
    if isinstance(value, _Repeated):
        raise refused((*path, value.key), Words("two different values"), "each key once")
    plain: dict[str, object] = {}
    for key, member in value.items():
        if not isinstance(key, str):
            raise refused(path, Words(f"a key of type {type(key).__name__}"), "an object whose keys are text")
        plain[_text(key, path)] = _value(member, (*path, key))
    return plain


def _value(value: object, path: Path) -> object:
    match value:
        case None | bool():
            return value
        case str():
            return _text(value, path)
        case int() if value in _INT64:
            return value
        case int():
            raise refused(path, _shown(value), "an integer of at most 64 bits")
        case float() if math.isfinite(value):
            return value
        case Mapping():
            return _object(value, path)
        case list() | tuple():
            if len(path) >= MAX_DEPTH:
                raise refused(
                    path[:4], Words("a deeply nested value"), f"at most {MAX_DEPTH} levels of nesting"
                )
            return [_value(item, (*path, index)) for index, item in enumerate(value)]
    if isinstance(value, float):
        raise refused(path, Words("a number out of range"), "a finite number")
    raise refused(path, Words(f"a Python {type(value).__name__}"), "a JSON value")


def _shown(value: int) -> object:
    """Numbers of thousands of digits cannot even be written."""
    return value if abs(value) < _LONGEST_SHOWN else Words("a number of very many digits")


def _text(value: str, path: Path) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise refused(path, value, "text that is valid Unicode") from None
    if "\x00" in value:
        raise refused(path, value, "text without NUL characters")
    return value
