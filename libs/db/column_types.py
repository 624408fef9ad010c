"""How the domain's values are kept in columns, the same on SQLite and PostgreSQL."""

from collections.abc import Mapping
from dataclasses import is_dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Any, get_args, get_origin, get_type_hints

from sqlalchemy import JSON, DateTime, Dialect, String, Text, TypeDecorator


class Moment(TypeDecorator[datetime]):
    """An aware time; comes back in UTC."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


class Sentence(TypeDecorator[str]):
    """Any text. PostgreSQL's holds no NUL, and what programs and probes answer may: one takes its place."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return value.replace("\0", "\N{REPLACEMENT CHARACTER}") if value and "\0" in value else value


class Word(TypeDecorator[StrEnum]):
    """One word of a `StrEnum`."""

    impl = String
    cache_ok = True

    def __init__(self, words: type[StrEnum]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: StrEnum | None, dialect: Dialect) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:
        return None if value is None else self.words(value)


class Tuple(TypeDecorator[tuple[Any, ...]]):
    """A tuple of texts or numbers, as a JSON list."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: tuple[Any, ...] | None, dialect: Dialect) -> list[Any]:
        return list(value or ())

    def process_result_value(self, value: list[Any] | None, dialect: Dialect) -> tuple[Any, ...]:
        return tuple(value or ())


class Labels(TypeDecorator[Mapping[str, str]]):
    """A mapping of texts, as a JSON object."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Mapping[str, str] | None, dialect: Dialect) -> dict[str, str]:
        return dict(value or {})


class Values(TypeDecorator[tuple[Any, ...]]):
    """A tuple of plain dataclasses, as a JSON list of objects. They may hold times, and tuples of others."""

    impl = JSON
    cache_ok = True

    def __init__(self, of: type[Any]) -> None:
        super().__init__()
        self.of = of

    def process_bind_param(self, value: tuple[Any, ...] | None, dialect: Dialect) -> list[Any]:
        return [_plain(each) for each in value or ()]

    def process_result_value(self, value: list[Any] | None, dialect: Dialect) -> tuple[Any, ...]:
        return tuple(_built(self.of, each) for each in value or ())


def _plain(value: Any) -> Any:
    """What JSON can hold of a field."""
    if is_dataclass(value) and not isinstance(value, type):
        return {name: _plain(getattr(value, name)) for name in _hints(type(value))}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


def _built(kind: Any, value: Any) -> Any:
    """The field of that kind again."""
    if isinstance(value, dict):
        fields = {name: _built(hint, value[name]) for name, hint in _to_build(kind).items() if name in value}
        return kind(**{**value, **fields})
    if isinstance(value, list):
        return tuple(_built(get_args(kind)[0], each) for each in value)
    return value if value is None else datetime.fromisoformat(value)


@cache
def _hints(kind: Any) -> Mapping[str, Any]:
    """The fields with their types."""
    return get_type_hints(kind)


@cache
def _to_build(kind: Any) -> Mapping[str, Any]:
    """The fields that are not in JSON what they are here: times, and tuples."""
    timely = (datetime, datetime | None)
    return {n: hint for n, hint in _hints(kind).items() if hint in timely or get_origin(hint) is tuple}
