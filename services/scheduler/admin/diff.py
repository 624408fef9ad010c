"""What differs between two documents, key by key. Pure."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from libs.spec.document import same
from libs.spec.refusal import Path, path_of
from services.scheduler.admin.documents import Document
from services.scheduler.masking import masked


@dataclass(frozen=True)
class Changed:
    """A key whose value changes: JSON text, empty where the key is not there. Secrets are hidden."""

    path: str
    before: str
    after: str


class _Absent:
    """Stands where a document has no such key."""


_ABSENT = _Absent()


@dataclass(frozen=True)
class _Value:
    """A value of a document, and the same fit to be shown."""

    is_: object
    shown: object

    def member(self, key: str | int) -> "_Value":
        match self.is_, self.shown:
            case dict() as values, shown if key in values:
                return _Value(values[key], shown[key] if isinstance(shown, dict) else shown)
            case list() as items, shown if isinstance(key, int) and key < len(items):
                return _Value(items[key], shown[key] if isinstance(shown, list) else shown)
        return _Value(_ABSENT, _ABSENT)

    def __str__(self) -> str:
        return "" if self.shown is _ABSENT else json.dumps(self.shown, sort_keys=True)


def changed_keys(before: Document, after: Document) -> tuple[Changed, ...]:
    """The keys that differ, in the order of their paths; the smallest parts that do."""
    return tuple(sorted(_differing(_document(before), _document(after), ()), key=lambda c: c.path))


def _document(document: Document) -> _Value:
    text = json.dumps(dict(document))
    return _Value(json.loads(text), json.loads(masked(text)))


def _differing(before: _Value, after: _Value, path: Path) -> Iterator[Changed]:
    match before.is_, after.is_:
        case dict() as old, dict() as new:
            keys: list[str | int] = sorted(old.keys() | new.keys())
        case list() as old, list() as new:
            keys = list(range(max(len(old), len(new))))
        case old, new:
            if not same(old, new):
                yield Changed(path_of(path), str(before), str(after))
            return
    for key in keys:
        yield from _differing(before.member(key), after.member(key), (*path, key))
