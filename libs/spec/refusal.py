"""How a refusal is worded: the JSON path, what was found there, what was expected instead."""

import json
import re
from collections.abc import Iterable

from libs.domain.errors import InvalidSpec

Path = tuple[str | int, ...]

ROOT = "$"
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,80}")
_SECRETS = frozenset({"token", "dockerAuth", "password", "decryption_key"})


class Words(str):
    """A description that stands where a value would, and is shown without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


NOTHING = Words("nothing")


def path_of(parts: Iterable[str | int]) -> str:
    """The JSON path as people write it: `containers[0].port`, `labels["a.b"]`; `$` is the whole document."""
    written = ""
    for part in parts:
        if isinstance(part, int):
            written += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            written += f".{part}" if written else part
        else:
            short = part if len(part) <= 80 else part[:77] + "..."
            written += f"[{json.dumps(short)}]" if written else f"{ROOT}[{json.dumps(short)}]"
    return written or ROOT


def refused(parts: Path, value: object, expected: str) -> InvalidSpec:
    """The refusal of `value` at `parts`; secrets and the insides of objects are never shown."""
    hidden = value is not NOTHING and any(part in _SECRETS for part in parts)
    return InvalidSpec(path_of(parts), Words("a hidden value") if hidden else _shown(value), expected)


def _shown(value: object) -> object:
    match value:
        case None:
            return Words("null")
        case bool():
            return Words(json.dumps(value))
        case dict():
            return Words("an object" if value else "an empty object")
        case list():
            return Words(f"an array of {len(value)}" if value else "an empty array")
    return value
