"""A directory that an instance writes into, filled from an object store and written back to it."""

import asyncio
import errno
import fcntl
import json
import os
import shutil
import stat
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

from libs.domain.causes import Cause
from libs.files import replace_file
from services.agent.runtime.port import PrepareFailed
from services.agent.storage.locks import locked
from services.agent.storage.object_store import ObjectStore, Stores
from services.agent.storage.snapshots import Entry
from services.agent.storage.sources import StoreSource

# Size and time of change, as the store has it.
State: TypeAlias = tuple[int, int]

# What changed less than this ago is probably still being written.
_SETTLED_NS = 2_000_000_000
_SAVED_EVERY = 16
_COPIED_AT_ONCE = 4 << 20
_FICLONE = 0x40049409
_ANYBODY_MAY_WRITE = 0o777
# What one file met with, all others would meet with.
_OF_THE_STORE = {Cause.STORAGE_UNREACHABLE, Cause.STORAGE_ACCESS_DENIED, Cause.STORAGE_NOT_FOUND}


@dataclass(frozen=True)
class WriteBack:
    """What the store lacks of a directory, and what it has too much."""

    upload: tuple[str, ...]
    delete: tuple[str, ...]


def plan_write_back(
    stored: Mapping[str, State], found: Mapping[str, State], settled_before: int | None
) -> WriteBack:
    """Pure. With `settled_before` what changed since then waits for the next time."""
    upload = (
        path
        for path, state in found.items()
        if stored.get(path) != state and (settled_before is None or state[1] < settled_before)
    )
    return WriteBack(tuple(sorted(upload)), tuple(sorted(stored.keys() - found.keys())))


@dataclass(frozen=True)
class WorkingCopy:
    """One mount of one instance. What must be known of it after a restart lies beside its directory.

    Others than the agent cannot come to it: the directory above is its owner's alone.
    """

    tree: Path

    @property
    def _origin(self) -> Path:
        return self.tree.with_name(f"{self.tree.name}.origin")

    @property
    def _stored(self) -> Path:
        return self.tree.with_name(f"{self.tree.name}.stored")

    @property
    def filled(self) -> bool:
        return self.tree.is_dir() and self._stored.exists()

    def open_with(self, source: StoreSource) -> None:
        """From now on it is written back with these credentials."""
        self.tree.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        replace_file(self._origin, json.dumps(asdict(source)).encode())

    def fill(self, snapshot: Path, entries: Sequence[Entry], moved: Callable[[], None]) -> None:
        """Copies what the store has. Blocks; raises OSError. One that was begun and not ended begins anew."""
        draft = self.tree.with_name(f"{self.tree.name}.filling")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        draft.chmod(_ANYBODY_MAY_WRITE)
        for entry in entries:
            place = draft / entry.path
            for parent in reversed(place.relative_to(draft).parents[:-1]):
                (draft / parent).mkdir(exist_ok=True)
                (draft / parent).chmod(_ANYBODY_MAY_WRITE)
            _copy(snapshot / entry.path, place, moved)
            place.chmod(0o666)
        self._save(_states(draft))
        draft.replace(self.tree)

    async def write_back(self, stores: Stores, *, final: bool) -> int:
        """Uploads what changed and deletes what is gone; how many objects. Raises PrepareFailed, OSError.

        What was not written back, for whatever reason, is so at the next call.
        """
        async with locked(self.tree.with_name(f"{self.tree.name}.lock"), lambda: None):
            stored = await asyncio.to_thread(self._load)
            found = await asyncio.to_thread(_states, self.tree)
            due = plan_write_back(stored, found, None if final else time.time_ns() - _SETTLED_NS)
            if not due.upload and not due.delete:
                return 0
            async with stores.opened(self._source()) as store:
                try:
                    refused = await self._upload(store, due.upload, stored)
                    await self._delete(store, due.delete, stored)
                finally:
                    self._save(stored)
            if refused is not None:
                raise refused
            return len(due.upload) + len(due.delete)

    async def _upload(
        self, store: ObjectStore, paths: Collection[str], stored: dict[str, State]
    ) -> Exception | None:
        """What the first file met with that could not be uploaded while others could."""
        refused: Exception | None = None
        for count, path in enumerate(paths, start=1):
            try:
                await self._upload_one(store, path, stored)
            except FileNotFoundError:
                continue
            except (PrepareFailed, OSError) as error:
                if isinstance(error, PrepareFailed) and error.cause in _OF_THE_STORE:
                    raise
                # One that cannot be read, or has a name that no object has.
                refused = refused or error
            if count % _SAVED_EVERY == 0:
                self._save(stored)
        return refused

    async def _upload_one(self, store: ObjectStore, path: str, stored: dict[str, State]) -> None:
        with await asyncio.to_thread(opened_below, self.tree, path) as file:
            before = _state_of(os.fstat(file.fileno()))
            await store.put(store.key_of(path), file)
            # One that was written meanwhile is uploaded again the next time.
            if _state_of(os.fstat(file.fileno())) == before:
                stored[path] = before

    async def _delete(self, store: ObjectStore, paths: Collection[str], stored: dict[str, State]) -> None:
        for path in paths:
            await store.delete(store.key_of(path))
            del stored[path]

    def _source(self) -> StoreSource:
        return StoreSource(**json.loads(self._origin.read_text(encoding="utf-8")))

    def _load(self) -> dict[str, State]:
        rows = json.loads(self._stored.read_text(encoding="utf-8"))
        return {path: (size, changed) for path, (size, changed) in rows.items()}

    def _save(self, stored: Mapping[str, State]) -> None:
        replace_file(self._stored, json.dumps(dict(stored)).encode())


def copies_of(directory: Path) -> list[WorkingCopy]:
    """The working copies of an instance that were filled."""
    found = (WorkingCopy(path.with_suffix("")) for path in sorted(directory.glob("*.stored")))
    return [copy for copy in found if copy.filled]


def _states(tree: Path) -> dict[str, State]:
    """Every regular file. Raises OSError when a directory cannot be read: what is in it is not gone."""

    def refuse(error: OSError) -> None:
        raise error

    found: dict[str, State] = {}
    for directory, _, names in os.walk(tree, onerror=refuse):
        for name in names:
            file = Path(directory) / name
            with suppress(FileNotFoundError):
                if file.is_file() and not file.is_symlink():
                    found[str(file.relative_to(tree))] = _state(file)
    return found


def opened_below(tree: Path, path: str) -> BinaryIO:
    """A regular file that an instance wrote. Raises OSError; FileNotFoundError when it is none any more.

    The instance may have put a link in its place, or in that of its directory, since it was seen.
    """
    try:
        descriptor = os.open(tree / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as refused:
        if refused.errno in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO):
            raise FileNotFoundError(path) from refused
        raise
    file = os.fdopen(descriptor, "rb")
    place = str(Path(f"/proc/self/fd/{descriptor}").readlink())
    if not stat.S_ISREG(os.fstat(descriptor).st_mode) or place != f"{os.path.realpath(tree)}/{path}":
        file.close()
        raise FileNotFoundError(path)
    return file


def _state(file: Path) -> State:
    return _state_of(file.lstat())


def _state_of(info: os.stat_result) -> State:
    return info.st_size, info.st_mtime_ns


def _copy(source: Path, place: Path, moved: Callable[[], None]) -> None:
    """Shares the blocks where the file system can."""
    with source.open("rb") as read, place.open("wb") as write:
        try:
            fcntl.ioctl(write.fileno(), _FICLONE, read.fileno())
        except OSError:
            while part := read.read(_COPIED_AT_ONCE):
                write.write(part)
                moved()
