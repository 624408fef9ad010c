"""The kinds of value that keys of service.json take, each with the words that describe it in a refusal."""

import base64
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from libs.spec.quantity import (
    GIB,
    MIB,
    CountOrPercent,
    Quantity,
    parse_count_or_percent,
    parse_quantity,
)

RESERVED_PORTS = (8080, 9090)

_INTEGER = re.compile(r"[+-]?\d{1,18}(\.0+)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{1,15})?([eE][+-]?\d{1,2})?", re.ASCII)
_NAME = re.compile(r"[a-z0-9_][a-z0-9_-]{2,62}")
_PRINTABLE = re.compile(r"[!-~]{1,512}")
_ENV_NAME = re.compile(r"[^=\s]{1,255}")
_FLAGS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class Expected:
    """Makes a value out of what was written, or refuses it with `words`.

    `convert` may raise ValueError, TypeError or OverflowError to refuse.
    """

    words: str
    convert: Callable[[object], object]

    def __call__(self, value: object) -> object:
        try:
            return self.convert(value)
        except (ValueError, TypeError, OverflowError):
            raise PydanticCustomError("expected", "{words}", {"words": self.words}) from None

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self)


def whole(low: int, high: int, unit: str = "", without: tuple[int, ...] = ()) -> Expected:
    """An integer in a range; `4.0` and `"4"` count as integers, booleans do not."""

    def convert(value: object) -> int:
        number = _integer(value)
        if not low <= number <= high or number in without:
            raise ValueError(value)
        return number

    return Expected(f"an integer from {low} to {high}{f' ({unit})' if unit else ''}", convert)


def above_zero(words: str, high: float, unit: str = "") -> Expected:
    """A number above zero; a string may end in `m` for thousandths where `unit` is `m`."""

    def convert(value: object) -> float:
        if unit and isinstance(value, str) and value.endswith(unit):
            number = _number(value.removesuffix(unit)) / 1000
        else:
            number = _number(value)
        if not 0 < number <= high:
            raise ValueError(value)
        return int(number) if number.is_integer() else number

    return Expected(words, convert)


def choice(*options: str, empty: bool = False) -> Expected:
    """One of a few words, whatever its case; the empty string too where `empty` says so."""
    by_folded = {option.lower(): option for option in options}
    if empty:
        by_folded[""] = ""
    named = " or ".join(f'"{option}"' for option in options)

    def convert(value: object) -> str:
        return by_folded[_string(value).lower()] if _string(value).lower() in by_folded else _no(value)

    return Expected(f"{named}{' or an empty text' if empty else ''}", convert)


def starting_with(prefix: str, words: str) -> Expected:
    """Text that begins with `prefix`."""

    def convert(value: object) -> str:
        return _string(value) if _string(value).startswith(prefix) else _no(value)

    return Expected(words, convert)


def matching(pattern: str, words: str) -> Expected:
    """Text that matches `pattern` as a whole."""
    compiled = re.compile(pattern)
    return Expected(words, lambda value: value if compiled.fullmatch(_string(value)) else _no(value))


def _no(value: object) -> str:
    raise ValueError(value)


def _string(value: object) -> str:
    if isinstance(value, str):
        return value
    raise TypeError(value)


def _integer(value: object) -> int:
    if isinstance(value, bool):
        raise TypeError(value)
    if isinstance(value, int):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value.strip().partition(".")[0])
    raise ValueError(value)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(value)
    if isinstance(value, str) and not _NUMBER.fullmatch(value.strip()):
        raise ValueError(value)
    return float(value)


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    flag = _FLAGS.get(_string(value).strip().lower())
    if flag is None:
        raise ValueError(value)
    return flag


def _switch(value: object) -> bool:
    if isinstance(value, bool) or (isinstance(value, str) and value.strip().lower() in _FLAGS):
        return _flag(value)
    number = _integer(value)
    if number not in (0, 1):
        raise ValueError(value)
    return number == 1


def _nonempty(value: object) -> str:
    return _string(value) if _string(value).strip() else _no(value)


def _text_or_absent(value: object) -> str | None:
    return _scalar_text(value).strip() or None


def _scalar_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{value:.15g}" if isinstance(value, float) else str(value)
    return _string(value)


def _command(value: object) -> str:
    return _string(value) if shlex.split(_string(value)) else _no(value)


def _registry_login(value: object) -> str:
    text = "".join(_string(value).split())
    if text.startswith("secret://"):  # see `libs/spec/secret_refs.py`
        return text
    user, colon, _ = base64.b64decode(text, validate=True).decode().partition(":")
    return text if user and colon else _no(value)


def login_of(text: str) -> tuple[str, str]:
    """User and password of an accepted `dockerAuth`."""
    user, _, password = base64.b64decode(text).decode().partition(":")
    return user, password


def _text_or_object(value: object) -> object:
    return value if isinstance(value, dict) else _string(value)


def _text_or_texts(value: object) -> object:
    if not isinstance(value, list):
        return _nonempty(value)
    return tuple(_nonempty(item) for item in value)


def _whole_gib(value: object) -> int:
    quantity = parse_quantity(value, bare_unit_mib=GIB)
    if quantity.mib % GIB:
        raise ValueError(value)
    return quantity.mib // GIB


def _size(bare_unit_mib: int, words: str) -> Expected:
    return Expected(words, lambda value: parse_quantity(value, bare_unit_mib=bare_unit_mib))


Flag = Annotated[bool, Expected('true or false (or "true" or "false")', _flag)]
Switch = Annotated[bool, Expected("true or false, or 1 or 0", _switch)]
Text = Annotated[str, Expected("text that is not empty", _nonempty)]
AnyText = Annotated[str, Expected("text", _string)]
ScalarText = Annotated[str, Expected("text, a number or a boolean", _scalar_text)]
OptionalText = Annotated[str | None, Expected("text", _text_or_absent)]
ServiceName = Annotated[
    str,
    matching(
        _NAME.pattern, "a name of 3 to 63 lower-case letters, digits, underscores or (not first) hyphens"
    ),
]
Token = Annotated[
    str, matching(_PRINTABLE.pattern, "a token of 1 to 512 printable ASCII characters without spaces")
]
EnvName = Annotated[
    str,
    matching(_ENV_NAME.pattern, "the name of an environment variable, without spaces or an equals sign"),
]
CommandLine = Annotated[str, Expected("a command as text, with every quote closed", _command)]
RegistryLogin = Annotated[
    str, Expected("the base64 form of user:password, or secret://NAME/KEY of it", _registry_login)
]
UrlPath = Annotated[str, starting_with("/", 'a path that begins with "/"')]

Cores = Annotated[float, above_zero("a number of cores above 0, such as 2 or 0.5", high=1_000_000, unit="m")]
MemoryMib = Annotated[
    int,
    Expected(
        'an amount of memory above 0: a number of MiB, or a size such as "4Gi"',
        lambda value: parse_quantity(value, bare_unit_mib=MIB).mib,
    ),
]
WholeGib = Annotated[int, Expected("a whole number of GiB above 0", _whole_gib)]
SizeInGib = Annotated[Quantity, _size(GIB, 'a size above 0, such as "40Gi" or a number of GiB')]
Json = Annotated[object, Expected("a JSON value", lambda value: value)]
TextOrObject = Annotated[str | dict[str, object], Expected("text or an object", _text_or_object)]
TextOrTexts = Annotated[
    str | tuple[str, ...], Expected("text, or an array of texts that are not empty", _text_or_texts)
]
Price = Annotated[float, above_zero("a price above 0", high=1_000_000)]
Threshold = Annotated[float, above_zero("a threshold above 0", high=1e12)]
Port = Annotated[int, whole(1, 65535)]
ListenPort = Annotated[
    int,
    Expected(
        "a port from 1 to 65535 other than 8080 and 9090, which are reserved",
        whole(1, 65535, without=RESERVED_PORTS).convert,
    ),
]
Count = Annotated[int, whole(0, 100_000)]
PositiveCount = Annotated[int, whole(1, 100_000)]
Seconds = Annotated[int, whole(0, 86_400, "seconds")]
PositiveSeconds = Annotated[int, whole(1, 86_400, "seconds")]
Milliseconds = Annotated[int, whole(1, 86_400_000, "milliseconds")]
InstanceShare = Annotated[
    CountOrPercent,
    Expected('a number of instances or a percentage from "0%" to "100%"', parse_count_or_percent),
]
