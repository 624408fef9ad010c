"""How the cache knows that a file is still what was fetched."""

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

PIECE = 8 << 20


def digest_of_piece(content: bytes) -> str:
    # Of the strong digests the one that processors compute themselves.
    return hashlib.sha256(content).hexdigest()


def digest_of_pieces(digests: Iterable[str]) -> str:
    """Of a whole file, from those of its pieces of 8 MiB."""
    return digest_of_piece("\n".join(digests).encode())


def digest_of_file(path: Path, moved: Callable[[], None]) -> str:
    """Blocks for a second a GiB or so, and calls `moved` on the way; raises OSError."""
    return digest_of_pieces(digest_of_piece(piece) for piece in _pieces(path, moved))


def _pieces(path: Path, moved: Callable[[], None]) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while piece := file.read(PIECE):
            yield piece
            moved()


class Seen:
    """Which files were found to be what their digest says, by this process.

    A file is read once by each process that uses it, and again when its size, its time of change or its place
    on the disk is another. Thread-safe.
    """

    def __init__(self) -> None:
        self._seen: dict[tuple[int, int], tuple[int, int, str]] = {}
        self._lock = threading.Lock()

    def note(self, path: Path, digest: str) -> None:
        """It was just written so."""
        state = path.stat()
        with self._lock:
            self._seen[state.st_dev, state.st_ino] = (state.st_size, state.st_mtime_ns, digest)

    def intact(self, path: Path, digest: str, moved: Callable[[], None]) -> bool:
        """Blocks while it is read. False also for what is not there."""
        try:
            state = path.stat()
            with self._lock:
                seen = self._seen.get((state.st_dev, state.st_ino))
            if seen == (state.st_size, state.st_mtime_ns, digest):
                return True
            if digest_of_file(path, moved) != digest:
                return False
        except OSError:
            return False
        with self._lock:
            self._seen[state.st_dev, state.st_ino] = (state.st_size, state.st_mtime_ns, digest)
        return True
