"""Watches: the full state first, then what changed, coalesced while the watcher is slow."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

from libs.db.changes import Changes
from libs.domain.records import Event, Instance, Rollout, Service
from libs.lifecycle import wakes
from services.scheduler.ledger import Ledger

# Events a slow watcher may lag behind before the oldest are dropped; it can list them afterwards.
_EVENT_BACKLOG = 10_000


async def changed_services(
    ledger: Ledger, only: str, stop: asyncio.Event
) -> AsyncIterator[tuple[list[str], bool]]:
    """Names of services to look at again; the first time all of them, marked True."""
    names: set[str] = set()
    changed = asyncio.Event()

    def heard(changes: Changes) -> None:
        for record in (*changes.put, *changes.delete):
            match record:
                case Service():
                    names.add(record.name)
                case Instance() | Rollout():
                    names.add(record.service)
        changed.set()

    with _subscribed(ledger, heard):
        yield sorted(n for n in ledger.world.services if only in ("", n)), True
        async for _ in wakes(changed, stop):
            woken = sorted(n for n in names if only in ("", n))
            names.clear()
            if woken:
                yield woken, False


async def new_events(
    ledger: Ledger, wanted: Callable[[Event], bool], stop: asyncio.Event
) -> AsyncIterator[Event]:
    """The events that pass `wanted`, as they are committed."""
    waiting: deque[Event] = deque(maxlen=_EVENT_BACKLOG)
    changed = asyncio.Event()

    def heard(changes: Changes) -> None:
        waiting.extend(event for event in changes.events if wanted(event))
        if waiting:
            changed.set()

    with _subscribed(ledger, heard):
        async for _ in wakes(changed, stop):
            while waiting:
                yield waiting.popleft()


@contextmanager
def _subscribed(ledger: Ledger, listener: Callable[[Changes], None]) -> Iterator[None]:
    leave = ledger.subscribe(listener)
    try:
        yield
    finally:
        leave()
