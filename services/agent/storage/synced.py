"""Directories of object stores, synced into the cache once for all instances of the node."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from libs.domain.causes import Cause
from libs.domain.states import InstanceState
from services.agent.runtime.port import Phase, PrepareFailed
from services.agent.storage.background import for_each
from services.agent.storage.digests import Seen
from services.agent.storage.eviction import Evictor
from services.agent.storage.failures import Changed, disk_failure
from services.agent.storage.fetch import Fetcher, Wish
from services.agent.storage.layout import Layout, identity_of
from services.agent.storage.locks import locked, on_change
from services.agent.storage.object_store import ObjectStore, StoredObject, Stores
from services.agent.storage.snapshots import Entry, Snapshots, use
from services.agent.storage.sources import StoreSource

_FILES_AT_ONCE = 4
_PIECES_AT_ONCE = 8
_LISTINGS = 3
_MIB = 1 << 20


@dataclass
class Transfer:
    """How far a fetch is, for all who wait for it."""

    total: int
    done: int = 0


class SyncedStores:
    """Fetches what is listed below a source, and finds what was fetched before."""

    def __init__(self, layout: Layout, seen: Seen, evictor: Evictor, stores: Stores) -> None:
        self._layout, self._evictor, self._stores = layout, evictor, stores
        self._fetcher = Fetcher(layout, seen, _PIECES_AT_ONCE)
        self._snapshots = Snapshots(layout, seen)
        self._transfers: dict[str, Transfer] = {}

    async def ensure(
        self, source: StoreSource, place: Path, phase: Phase, *, may_be_empty: bool = False
    ) -> tuple[Path, list[Entry]]:
        """Makes `place` a link to a directory with what the source has now; that directory and its files.

        Raises PrepareFailed. Safe to repeat, also after whoever did it was killed: it goes on from there.
        """
        phase(InstanceState.PREPARING, f"fetching {source.name}")
        async with self._stores.opened(source) as store:
            for _ in range(_LISTINGS):
                wishes = _wishes(source, await store.objects())
                if not wishes and not may_be_empty:
                    raise PrepareFailed(f"{source.name}: nothing is stored there", Cause.STORAGE_NOT_FOUND)
                try:
                    return await self._ensure(store, wishes, place, phase)
                except Changed:
                    phase.moved()
                except OSError as refused:
                    raise disk_failure(refused, source.name) from refused
        raise PrepareFailed(f"{source.name}: it was changed again and again while it was fetched")

    async def _ensure(
        self, store: ObjectStore, wishes: Sequence[Wish], place: Path, phase: Phase
    ) -> tuple[Path, list[Entry]]:
        name = store.name
        identity = identity_of(name, *(f"{wish.stored.path}\0{wish.identity}" for wish in wishes))
        lock = self._layout.lock(identity)
        async with locked(lock, _waiting(lock, name, lambda: self._transfers.get(identity), phase)):
            snapshot = await asyncio.to_thread(self._snapshots.find, identity, phase.moved)
            if snapshot is None:
                transfer = Transfer(sum(wish.stored.size for wish in wishes))

                def moved(count: int) -> None:
                    transfer.done += count
                    phase.progress(name, transfer.done, transfer.total)
                    if not count:
                        phase.moved()
                    lock.touch()

                self._transfers[identity] = transfer
                try:
                    snapshot = await self._fill(store, wishes, identity, moved)
                finally:
                    del self._transfers[identity]
            await asyncio.to_thread(use, place, snapshot)
            return snapshot, await asyncio.to_thread(self._snapshots.entries, snapshot)

    async def _fill(
        self, store: ObjectStore, wishes: Sequence[Wish], identity: str, moved: Callable[[int], None]
    ) -> Path:
        await asyncio.to_thread(self._make_room, store.name, wishes, partial(moved, 0))
        snapshot = await asyncio.to_thread(self._snapshots.begin, identity)
        entries: list[Entry] = []

        async def one(wish: Wish) -> None:
            while True:
                digest = await self._fetcher.fetch(store, wish, moved)
                try:
                    await asyncio.to_thread(self._snapshots.add, snapshot, wish.stored.path, digest)
                except FileNotFoundError:
                    continue
                entries.append(Entry(wish.stored.path, digest, wish.stored.size))
                return

        await for_each(wishes, one, _FILES_AT_ONCE)
        await asyncio.to_thread(self._snapshots.complete, snapshot, entries)
        return snapshot

    def _make_room(self, name: str, wishes: Sequence[Wish], checked: Callable[[], None]) -> None:
        missing = [wish for wish in wishes if self._fetcher.known(wish, checked) is None]
        wanted = sum(wish.stored.size - self._fetcher.begun(wish) for wish in missing)
        lacking = self._evictor.make_room(wanted, checked) if missing else 0
        if lacking > 0:
            bound = f"{self._evictor.max_bytes / _MIB:.0f} MiB" if self._evictor.max_bytes else "its disk"
            raise PrepareFailed(
                f"{name}: {wanted / _MIB:.0f} MiB are to be fetched and {lacking / _MIB:.0f} MiB too few are "
                f"free in the cache ({bound}) after everything that no instance uses was removed",
                Cause.NO_SPACE,
            )


def _waiting(
    lock: Path, name: str, transfer: Callable[[], Transfer | None], phase: Phase
) -> Callable[[], None]:
    """What is told while another instance fetches the same: its progress, or that another agent goes on."""
    look = on_change(lock, phase.moved)

    def waiting() -> None:
        under_way = transfer()
        if under_way is not None:
            phase.progress(name, under_way.done, under_way.total)
        look()

    return waiting


def _wishes(source: StoreSource, objects: Sequence[StoredObject]) -> list[Wish]:
    """The files below a source; raises PrepareFailed for names that no directory can hold."""
    files = [each for each in objects if each.path and not each.path.endswith("/")]
    names = {each.path for each in files}
    for each in files:
        path = PurePosixPath(each.path)
        fits = str(path) == each.path != "." and not path.is_absolute() and ".." not in path.parts
        if not fits or "\0" in each.path or any(len(part.encode()) > 255 for part in path.parts):
            raise PrepareFailed(f"{source.name}: {each.path!r} cannot be the name of a file")
        clash = next((str(parent) for parent in path.parents if str(parent) in names), None)
        if clash is not None:
            raise PrepareFailed(f"{source.name}: {clash!r} is an object and a directory at once")
    return [Wish(source, each) for each in files]
