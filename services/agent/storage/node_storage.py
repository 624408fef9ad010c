"""The mounts whose files come from object stores and repositories, for the instances of one node."""

import asyncio
import logging
import secrets
import shutil
import threading
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from libs.domain.errors import EaselError
from libs.files import replace_file
from services.agent.mounts import Mount
from services.agent.runtime.port import Phase
from services.agent.storage.attended import Attended
from services.agent.storage.background import Background, for_each
from services.agent.storage.digests import Seen
from services.agent.storage.eviction import Evictor
from services.agent.storage.failures import disk_failure
from services.agent.storage.git import Repositories
from services.agent.storage.layout import Layout
from services.agent.storage.object_store import Stores
from services.agent.storage.snapshots import Snapshots
from services.agent.storage.sources import GitSource, StoreSource
from services.agent.storage.synced import SyncedStores
from services.agent.storage.working_copy import WorkingCopy, copies_of
from services.agent.workload import Workload

log = logging.getLogger(__name__)

_SHARE_OF_DISK = 0.8
_GIB = 1 << 30
_RELEASED = "released"
# A store that is away holds up those of others only when so many wait for it.
_LOOKED_AFTER_AT_ONCE = 8


@dataclass(frozen=True)
class StorageSettings:
    """Where files are kept. `own` has a directory for each instance of this agent, `cache` is the node's."""

    own: Path
    cache: Path
    max_gib: float | None = None
    write_back_every: timedelta = timedelta(seconds=30)
    # How long an end waits for the last write-back, which then goes on without it.
    write_back_within: timedelta = timedelta(minutes=2)
    environment: Mapping[str, str] = field(default_factory=dict)


class NodeStorage:
    """Puts the files of mounts in their places before an instance starts, and writes back what it wrote.

    Instances are known by their directories, so a restarted agent goes on where a killed one was.
    """

    def __init__(self, settings: StorageSettings) -> None:
        self._settings, self._background = settings, Background()
        self._layout, seen = Layout(settings.cache), Seen()
        self._evictor = Evictor(self._layout, 0)
        self._stores = Stores()
        self._synced = SyncedStores(self._layout, seen, self._evictor, self._stores)
        self._repositories = Repositories(self._layout, Snapshots(self._layout, seen), settings.environment)
        self._ready, self._beginning = False, threading.Lock()
        self._unknown: set[str] = set()
        self._last_words: dict[str, asyncio.Task[None]] = {}
        # Whoever removes a directory looks first whether it is wanted again.
        self._removing = threading.Lock()

    async def ensure(self, workload: Workload, phase: Phase) -> None:
        """Fetches what the mounts need that this node has not. Raises PrepareFailed. Safe to repeat."""
        mounts = [mount for mount in workload.mounts if isinstance(mount.origin, StoreSource | GitSource)]
        if mounts:
            await self._background.run(self._ensure(workload.id, mounts, phase))

    async def release(self, instance: str) -> None:
        """The instance has ended: what it wrote is written back, then its directories are removed.

        A store that is away does not keep it here: the rest is written back as soon as the store answers.
        """
        directory = self._settings.own / instance
        if not await asyncio.to_thread(directory.is_dir):
            return
        word = await asyncio.to_thread(_released, directory)
        task = self._last_words.get(instance)
        if task is None:
            task = self._last_words[instance] = asyncio.create_task(self._end(instance, word))
            task.add_done_callback(lambda _: self._last_words.pop(instance, None))
        await asyncio.wait([task], timeout=self._settings.write_back_within.total_seconds())

    async def run(self, here: Callable[[], Awaitable[Collection[str] | None]]) -> None:
        """Writes back now and then, until cancelled, and releases those that are no longer `here`.

        `here` gives the instances that run or are wanted, None while that is not known.
        """
        while True:
            await asyncio.sleep(self._settings.write_back_every.total_seconds())
            try:
                if await asyncio.to_thread(self._settings.own.is_dir):
                    await self.look(await here())
            except OSError as refused:
                log.warning("mounts were not looked after", extra={"why": str(refused)})

    async def look(self, here: Collection[str] | None) -> None:
        """One round of `run`."""
        there = {path.name for path in self._settings.own.iterdir() if path.is_dir()}
        known = {name for name in there if not name.startswith(".")}
        for left in there - known:
            await asyncio.to_thread(shutil.rmtree, self._settings.own / left, ignore_errors=True)
        await for_each(sorted(known), self._look_after, _LOOKED_AFTER_AT_ONCE)
        unknown = known - set(here) if here is not None else set()
        await for_each(sorted(unknown & self._unknown), self.release, _LOOKED_AFTER_AT_ONCE)
        self._unknown = unknown

    async def _look_after(self, instance: str) -> None:
        if (self._settings.own / instance / _RELEASED).exists():
            await self.release(instance)
        else:
            await self._background.run(self._write_back(instance, final=False))

    def close(self) -> None:
        """Ends what is under way. What was fetched and what was written stays for the next agent."""
        for task in self._last_words.values():
            task.cancel()
        self._background.close()

    async def _ensure(self, instance: str, mounts: Collection[Mount], phase: Phase) -> None:
        attended = Attended(phase)
        try:
            await asyncio.to_thread(self._prepare, instance)
            await self._put(mounts, attended)
        except OSError as refused:
            raise disk_failure(refused, "storage") from refused
        finally:
            attended.stop()

    async def _put(self, mounts: Collection[Mount], phase: Phase) -> None:
        for mount in mounts:
            place, origin = Path(mount.source), mount.origin
            if isinstance(origin, GitSource):
                await self._repositories.ensure(origin, place, phase)
            elif isinstance(origin, StoreSource) and mount.read_only:
                await self._synced.ensure(origin, place, phase)
            elif isinstance(origin, StoreSource):
                await self._fill(WorkingCopy(place), origin, phase)

    def _prepare(self, instance: str) -> None:
        with self._beginning:
            if not self._ready:
                self._begin()
                self._ready = True
        directory = self._settings.own / instance
        with self._removing:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            (directory / _RELEASED).unlink(missing_ok=True)

    def _begin(self) -> None:
        """Before the first fetch: what an earlier agent left half-done is not told from one under way."""
        settings = self._settings
        self._layout.create()
        self._layout.join(settings.own)
        disk = shutil.disk_usage(settings.cache).total
        bound = disk * _SHARE_OF_DISK if settings.max_gib is None else settings.max_gib * _GIB
        self._evictor.max_bytes = int(bound)
        self._evictor.drop_orphans()

    async def _fill(self, copy: WorkingCopy, origin: StoreSource, phase: Phase) -> None:
        await asyncio.to_thread(copy.open_with, origin)
        if copy.filled:
            return
        # Used only until it is copied: what is written later is nobody else's.
        link = copy.tree.with_name(f"{copy.tree.name}.source")
        snapshot, entries = await self._synced.ensure(origin, link, phase, may_be_empty=True)
        await asyncio.to_thread(copy.fill, snapshot, entries, phase.moved)
        link.unlink(missing_ok=True)

    async def _end(self, instance: str, word: str) -> None:
        try:
            if await self._background.run(self._write_back(instance, final=True)):
                await asyncio.to_thread(self._remove, instance, word)
                if self._ready:
                    await asyncio.to_thread(self._evictor.make_room, 0)
        except OSError as refused:
            log.warning("an instance left files behind", extra={"instance": instance, "why": str(refused)})

    def _remove(self, instance: str, word: str) -> None:
        """Unless it was wanted again since it was released with this word."""
        directory = self._settings.own / instance
        gone = directory.with_name(f".{instance}.{word}")
        with self._removing:
            if _word_in(directory) != word:
                return
            directory.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)

    async def _write_back(self, instance: str, *, final: bool) -> bool:
        """Whether nothing is left to be written back."""
        whole = True
        for copy in copies_of(self._settings.own / instance):
            try:
                count = await copy.write_back(self._stores, final=final)
            except (EaselError, OSError, ValueError, TypeError) as refused:
                whole = False
                facts = {"instance": instance, "why": str(refused)}
                log.warning("what an instance wrote is not written back yet", extra=facts)
            else:
                if count:
                    log.info("written back", extra={"instance": instance, "objects": count})
        return whole


def _released(directory: Path) -> str:
    """Marks a directory as one that nobody uses any more; the word of its mark. Blocks."""
    word = _word_in(directory)
    if word is None:
        word = secrets.token_hex(8)
        replace_file(directory / _RELEASED, word.encode())
    return word


def _word_in(directory: Path) -> str | None:
    """None for one that is in use."""
    try:
        return (directory / _RELEASED).read_text(encoding="ascii")
    except FileNotFoundError:
        return None
