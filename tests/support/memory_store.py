"""A store that forgets everything with its process: for tests of what is decided, not of how it is kept."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import fields
from datetime import datetime

from libs.db.changes import Changes, Contents, Record
from libs.db.rows import KINDS, Key, key_of
from libs.db.settle import settle
from libs.domain.errors import InvalidRequest
from libs.domain.records import Event
from libs.domain.scaling import Usage

_LARGEST = 1 << 63


class MemoryStore:
    """A `Store`. A test can hold up or refuse a commit in `before_commit`."""

    def __init__(self) -> None:
        self._records: dict[Key, Record] = {}
        self._events: list[Event] = []
        self._last_event = 0
        self._usage: list[Usage] = []
        self._counters: dict[str, int] = {}

    async def before_commit(self) -> None:
        await asyncio.sleep(0)

    async def load(self) -> Contents:
        await asyncio.sleep(0)
        ordered = [self._records[key] for key in sorted(self._records, key=str)]
        return Contents(*(tuple(r for r in ordered if type(r) is kind.record) for kind in KINDS))

    async def commit(self, changes: Changes) -> Changes:
        await self.before_commit()
        for record in changes.put:
            _refuse_large_numbers(record)
        revisions = {key: record.revision for key, record in self._records.items()}
        settled = settle([changes], revisions, self._last_event + 1)
        (outcome,) = settled.outcomes
        if not isinstance(outcome, Changes):
            raise outcome
        for key in settled.delete:
            del self._records[key]
        self._records |= {key_of(record): record for record in settled.put}
        self._events += settled.events
        self._usage += settled.usage
        self._last_event += len(settled.events)
        return outcome

    async def events(
        self,
        *,
        service: str = "",
        subject: str = "",
        reason: str = "",
        before_id: int = 0,
        after_id: int = 0,
        limit: int = 100,
    ) -> tuple[Event, ...]:
        matching = [
            event
            for event in self._events
            if service in ("", event.service)
            and subject in ("", event.subject)
            and reason in ("", event.reason)
            and after_id < event.id < (before_id or _LARGEST)
        ]
        return tuple((matching if after_id else matching[::-1])[:limit])

    async def newest_events(self, services: Collection[str], reason: str) -> Mapping[str, Event]:
        return {e.service: e for e in self._events if e.service in services and e.reason == reason}

    async def next(self, counter: str, by: int = 1) -> int:
        if by < 1:
            raise InvalidRequest("by", by, "a number above 0")
        self._counters[counter] = self._counters.get(counter, 0) + by
        return self._counters[counter]

    async def prune_events(self, keep: int) -> int:
        gone = max(0, len(self._events) - keep)
        del self._events[:gone]
        return gone

    async def usage(
        self,
        begin: datetime,
        end: datetime,
        *,
        service: str = "",
        after: Usage | None = None,
        limit: int = 10_000,
    ) -> tuple[Usage, ...]:
        found = [
            each
            for each in self._usage
            if each.end > begin and each.begin < end and service in ("", each.service)
        ]
        if after is not None:
            found = [each for each in found if (each.begin, each.instance) > (after.begin, after.instance)]
        return tuple(sorted(found, key=lambda each: (each.begin, each.instance)))[:limit]

    async def prune_usage(self, before: datetime) -> int:
        kept = [each for each in self._usage if each.end >= before]
        gone, self._usage = len(self._usage) - len(kept), kept
        return gone


def _refuse_large_numbers(record: Record) -> None:
    for each in fields(record):
        value = getattr(record, each.name)
        if isinstance(value, int) and value >= _LARGEST:
            raise OverflowError(f"{each.name} is larger than a database holds")
