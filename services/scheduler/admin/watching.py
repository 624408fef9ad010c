"""Watches: the full state first, then what changed, coalesced while the watcher is slow."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import contextmanager

from libs.db.changes import Changes
from libs.domain.records import Event, Instance, Rollout, Service
from libs.domain.traffic import Group, Ramp
from libs.lifecycle import wakes
from services.scheduler.groups.picture import shares_of
from services.scheduler.ledger import Ledger
from services.scheduler.world import World

# Events a slow watcher may lag behind before the oldest are dropped; it can list them afterwards.
_EVENT_BACKLOG = 10_000


async def changed_services(
    ledger: Ledger, only: str, stop: asyncio.Event
) -> AsyncIterator[tuple[list[str], bool]]:
    """Names of services to look at again; the first time all of them, marked True.

    Also of those whose share of their group's requests is another because another member's is.
    """
    names: set[str] = set()
    changed = asyncio.Event()
    shares = _Shares(ledger.world)

    def heard(changes: Changes) -> None:
        touched = set()
        for record in (*changes.put, *changes.delete):
            match record:
                case Service():
                    touched.add(record.name)
                case Instance() | Rollout():
                    touched.add(record.service)
        names.update(touched, shares.differing(changes, touched))
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


class _Shares:
    """The shares of the groups that were touched so far, as they were last."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._last: dict[str, dict[str, float]] = {}

    def differing(self, changes: Changes, services: Iterable[str]) -> Iterator[str]:
        """The members whose shares are not what they were; of a group that is new here, all."""
        found = (self._world.services.get(name) for name in services)
        groups = {service.group for service in found if service is not None}
        for record in (*changes.put, *changes.delete):
            match record:
                case Group():
                    groups.add(record.name)
                case Ramp():
                    groups.add(record.group)
        for name in groups & self._world.groups.keys():
            shares = {each.service: each.share for each in shares_of(self._world, self._world.groups[name])}
            last, self._last[name] = self._last.get(name, {}), shares
            yield from (member for member, share in shares.items() if last.get(member) != share)


@contextmanager
def _subscribed(ledger: Ledger, listener: Callable[[Changes], None]) -> Iterator[None]:
    leave = ledger.subscribe(listener)
    try:
        yield
    finally:
        leave()
