"""Keeps the cache within its bound: what no instance uses goes, what was used longest ago first."""

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from services.agent.storage.layout import Layout, manifest_of
from services.agent.storage.locks import try_lock
from services.agent.storage.snapshots import read_manifest, remove_tree


@dataclass(frozen=True)
class Kept:
    """One thing in the cache that can go as a whole."""

    path: Path
    identity: str
    used_at: float


def victims(kept: Iterable[Kept], in_use: Collection[Path]) -> list[Kept]:
    """What may go, in the order in which it goes: pure."""
    free = (each for each in kept if each.path not in in_use)
    return sorted(free, key=lambda each: (each.used_at, each.path))


class Evictor:
    """Blocks on the file system in every method. Several agents of one host may evict at once."""

    def __init__(self, layout: Layout, max_bytes: int) -> None:
        self._layout, self.max_bytes = layout, max_bytes

    def make_room(self, wanted: int, moved: Callable[[], None] = lambda: None) -> int:
        """Evicts until `wanted` more bytes have room in the bound and on the disk; how many lack it then.

        `moved` is told of each thing that goes.
        """
        lacking = self._lacking(wanted)
        if lacking <= 0:
            return 0
        for victim in victims(self._kept(), self._layout.in_use()):
            self._evict(victim)
            moved()
            lacking = self._lacking(wanted)
            if lacking <= 0:
                return 0
        return lacking

    def used(self) -> int:
        """Bytes on the disk, each file counted once however often it is linked."""
        sizes = {(info.st_dev, info.st_ino): info.st_blocks * 512 for info in _files(self._layout.root)}
        return sum(sizes.values())

    def _lacking(self, wanted: int) -> int:
        over = self.used() + wanted - self.max_bytes if self.max_bytes else 0
        disk = os.statvfs(self._layout.root)
        return max(over, wanted - disk.f_bavail * disk.f_frsize)

    def _kept(self) -> Iterator[Kept]:
        for snapshot in self._layout.snapshots():
            manifest = manifest_of(snapshot)
            yield Kept(snapshot, snapshot.name.rpartition("-")[0], _changed(manifest) or _changed(snapshot))
        for part in self._layout.parts.glob("*.part"):
            yield Kept(part, part.stem, _changed(part))
        for repository in (self._layout.root / "repositories").iterdir():
            yield Kept(repository, repository.name, _changed(repository / "FETCH_HEAD"))

    def _evict(self, victim: Kept) -> None:
        """Unless somebody works on it, or has just begun to use it."""
        path = self._layout.lock(victim.identity)
        lock = try_lock(path)
        if lock is None:
            return
        try:
            if victim.path in self._layout.in_use():
                return
            if victim.path.suffix == ".part":
                victim.path.with_suffix(".journal").unlink(missing_ok=True)
                victim.path.unlink(missing_ok=True)
            else:
                digests = {entry.digest for entry in read_manifest(victim.path) or ()}
                remove_tree(victim.path)
                self._drop_unlinked(digests)
            path.unlink(missing_ok=True)
        finally:
            os.close(lock)

    def _drop_unlinked(self, digests: Iterable[str]) -> None:
        for digest in digests:
            blob = self._layout.blob(digest)
            try:
                if blob.stat().st_nlink == 1:
                    blob.unlink()
            except FileNotFoundError:
                continue

    def drop_orphans(self) -> None:
        """Removes blobs that no snapshot has, and what says where blobs are that are gone.

        To be called while nothing is fetched.
        """
        self._drop_unlinked(path.name for path in (self._layout.root / "blobs").iterdir())
        for index in (self._layout.root / "index").iterdir():
            try:
                digest = index.read_text(encoding="ascii")
            except (OSError, UnicodeDecodeError):
                digest = ""
            if not digest or not self._layout.blob(digest).exists():
                index.unlink(missing_ok=True)


def _files(directory: Path) -> Iterator[os.stat_result]:
    try:
        entries = list(os.scandir(directory))
    except OSError:
        return
    for entry in entries:
        try:
            if entry.is_dir(follow_symlinks=False):
                yield from _files(Path(entry.path))
            else:
                yield entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
