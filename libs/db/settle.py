"""Which of the changes that wait for one transaction may be written. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from libs.db.changes import Changes, Record
from libs.db.rows import Key, key_of
from libs.domain.errors import AlreadyExists, Conflict, EaselError
from libs.domain.records import Event
from libs.domain.scaling import Usage

Outcome = Changes | EaselError


@dataclass(frozen=True)
class Settled:
    """An outcome for each change asked for, and what is to be written: the last word on each key."""

    outcomes: tuple[Outcome, ...]
    put: tuple[Record, ...]
    delete: tuple[Key, ...]
    events: tuple[Event, ...]
    usage: tuple[Usage, ...]


def settle(asked: Sequence[Changes], stored: Mapping[Key, int], first_event: int) -> Settled:
    """Takes the changes one after the other, each as if those before it were written already.

    `stored` has the revision of every key asked about that is stored. Events are numbered from `first_event`.
    """
    revisions = dict(stored)
    outcomes: list[Outcome] = []
    last: dict[Key, Record | None] = {}
    events: list[Event] = []
    usage: list[Usage] = []
    for changes in asked:
        try:
            written = _apply(changes, revisions)
        except EaselError as refusal:
            outcomes.append(refusal)
            continue
        numbered = tuple(
            replace(event, id=first_event + len(events) + i) for i, event in enumerate(changes.events)
        )
        events.extend(numbered)
        usage.extend(changes.usage)
        for key, record in written.items():
            last[key] = record
            if record is None:
                del revisions[key]
            else:
                revisions[key] = record.revision
        put = tuple(record for record in written.values() if record is not None)
        outcomes.append(Changes(put, changes.delete, numbered, changes.usage))
    return Settled(
        outcomes=tuple(outcomes),
        put=tuple(record for record in last.values() if record is not None),
        delete=tuple(key for key, record in last.items() if record is None and key in stored),
        events=tuple(events),
        usage=tuple(usage),
    )


def _apply(changes: Changes, revisions: Mapping[Key, int]) -> dict[Key, Record | None]:
    """The records with their new revisions, None for the deleted; raises on the first that is refused."""
    written: dict[Key, Record | None] = {}

    def newest(key: Key) -> int:
        record = written.get(key)
        return record.revision if record else 0 if key in written else revisions.get(key, 0)

    for record in changes.delete:
        key = key_of(record)
        _expect_newest(key, record.revision, newest(key))
        written[key] = None
    for record in changes.put:
        key = key_of(record)
        if record.revision:
            _expect_newest(key, record.revision, newest(key))
        elif newest(key):
            raise AlreadyExists(f"{key} exists already")
        written.pop(key, None)
        written[key] = replace(record, revision=record.revision + 1)
    return written


def _expect_newest(key: Key, revision: int, newest: int) -> None:
    if not newest:
        raise Conflict(f"{key} is not stored, or no longer; read again and retry")
    if revision != newest:
        raise Conflict(
            f"{key} is at revision {newest}, the change was computed from {revision}; read again and retry"
        )
