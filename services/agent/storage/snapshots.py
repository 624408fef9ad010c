"""What instances have mounted: directories in the cache that never change once they are complete."""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from libs.files import replace_file
from services.agent.storage.digests import Seen, digest_of_file
from services.agent.storage.layout import Layout, manifest_of


@dataclass(frozen=True)
class Entry:
    """One file of a snapshot; `digest` is that of its blob."""

    path: str
    digest: str
    size: int


@dataclass(frozen=True)
class Snapshots:
    """Makes and finds them. Every method blocks; the caller holds the lock of the source."""

    layout: Layout
    seen: Seen

    def find(self, identity: str, moved: Callable[[], None]) -> Path | None:
        """A complete one whose every file is what it was; one that is not is never found again."""
        for snapshot in self.layout.snapshots(identity):
            entries = read_manifest(snapshot)
            if entries is None:
                continue
            if all(self.seen.intact(snapshot / each.path, each.digest, moved) for each in entries):
                os.utime(manifest_of(snapshot))
                return snapshot
            # Instances that run keep it; it goes when the last of them has ended.
            manifest_of(snapshot).unlink(missing_ok=True)
        return None

    def begin(self, identity: str) -> Path:
        """A new directory to fill; what killed agents left half-filled is removed."""
        used = self.layout.in_use()
        for snapshot in self.layout.snapshots(identity):
            if not manifest_of(snapshot).exists() and snapshot not in used:
                remove_tree(snapshot)
        return self.layout.new_snapshot(identity)

    def add(self, snapshot: Path, path: str, digest: str) -> None:
        """Links a blob to its place. Raises FileNotFoundError when the blob was evicted meanwhile."""
        place = snapshot / path
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        blob = self.layout.blob(digest)
        try:
            place.hardlink_to(blob)
        except FileNotFoundError:
            raise
        except OSError:
            # A file can have so many links only; the empty file is in every repository.
            shutil.copyfile(blob, place)
            place.chmod(0o444)

    def entries(self, snapshot: Path) -> list[Entry]:
        """What is in a complete one."""
        return read_manifest(snapshot) or []

    def complete(self, snapshot: Path, entries: Iterable[Entry]) -> None:
        """From now on it is found."""
        rows = [[entry.path, entry.digest, entry.size] for entry in entries]
        replace_file(manifest_of(snapshot), json.dumps({"at": time.time(), "files": rows}).encode())

    def complete_as_it_is(self, snapshot: Path, moved: Callable[[], None]) -> None:
        """With the files that are in it, links apart."""
        files = (path for path in sorted(snapshot.rglob("*")) if path.is_file() and not path.is_symlink())
        entries = []
        for path in files:
            path.chmod(0o555 if path.stat().st_mode & 0o100 else 0o444)
            digest = digest_of_file(path, moved)
            self.seen.note(path, digest)
            entries.append(Entry(str(path.relative_to(snapshot)), digest, path.stat().st_size))
        self.complete(snapshot, entries)


def read_manifest(snapshot: Path) -> list[Entry] | None:
    """None while it is not complete."""
    try:
        rows = json.loads(manifest_of(snapshot).read_text(encoding="utf-8"))["files"]
        return [Entry(*row) for row in rows]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def use(place: Path, snapshot: Path) -> None:
    """Makes `place` the snapshot, in one step, and the snapshot one that is used."""
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = place.with_name(f"{place.name}.draft")
    draft.unlink(missing_ok=True)
    draft.symlink_to(snapshot)
    draft.replace(place)


def remove_tree(snapshot: Path) -> None:
    """Safe to repeat. What cannot be removed stays for the next time."""
    with suppress(OSError):
        manifest_of(snapshot).unlink(missing_ok=True)
    shutil.rmtree(snapshot, ignore_errors=True)
