"""Where everything in the cache is, and who uses it.

blobs/DIGEST            one file each, hard-linked into snapshots
index/ID                which blob an object is: its digest and size
parts/ID.part .journal  what is being fetched
snapshots/ID-WORD/      one listing of a source, or one commit: what instances see
snapshots/ID-WORD.json  what is in it, once it is complete
repositories/ID/        bare repositories
locks/ID                one writer each
users/ID                the agents of this host: a link to the directory in which each keeps its mounts
"""

import hashlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_ROOMS = ("blobs", "index", "parts", "snapshots", "repositories", "locks", "users")


@dataclass(frozen=True)
class Layout:
    """One cache directory. Every method blocks on the file system only."""

    root: Path

    def create(self) -> None:
        """Safe to repeat."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for room in _ROOMS:
            (self.root / room).mkdir(mode=0o700, exist_ok=True)

    def blob(self, digest: str) -> Path:
        return self.root / "blobs" / digest

    def index(self, identity: str) -> Path:
        return self.root / "index" / identity

    @property
    def parts(self) -> Path:
        return self.root / "parts"

    def lock(self, identity: str) -> Path:
        return self.root / "locks" / identity

    def repository(self, identity: str) -> Path:
        return self.root / "repositories" / identity

    def new_snapshot(self, identity: str) -> Path:
        """A directory that never was there before."""
        path = self.root / "snapshots" / f"{identity}-{secrets.token_hex(4)}"
        path.mkdir(mode=0o755)
        return path

    def snapshots(self, identity: str = "*") -> Iterator[Path]:
        """Those of one source, or all, complete or not."""
        found = sorted((self.root / "snapshots").glob(f"{identity}-*"))
        return (path for path in found if path.suffix != ".json" and not path.is_symlink())

    def join(self, own: Path) -> None:
        """Lets everybody see what this agent uses. Safe to repeat."""
        own.mkdir(mode=0o700, parents=True, exist_ok=True)
        link = self.root / "users" / identity_of(str(own))
        if not link.is_symlink():
            draft = link.with_name(f"{link.name}.{secrets.token_hex(4)}")
            draft.symlink_to(own)
            draft.replace(link)

    def in_use(self) -> set[Path]:
        """The snapshots that instances of any agent of this host have mounted, or are about to."""
        instances = (each for user in _inside(self.root / "users") for each in _inside(user))
        return {used for each in instances for link in _inside(each) if (used := _target(link))}


def _inside(directory: Path) -> list[Path]:
    """Nothing for what is no directory, or no longer there."""
    try:
        return list(directory.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _target(link: Path) -> Path | None:
    try:
        return link.readlink() if link.is_symlink() else None
    except FileNotFoundError:
        return None


def manifest_of(snapshot: Path) -> Path:
    return snapshot.with_name(f"{snapshot.name}.json")


def identity_of(*parts: str) -> str:
    """A name for a file, equal for equal parts only."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]
