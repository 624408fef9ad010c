"""A file that is being fetched: its bytes so far, and a journal that survives whoever fetches it."""

import errno
import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from services.agent.storage.digests import PIECE, digest_of_piece, digest_of_pieces


class Part:
    """The pieces of one file, each journalled with its digest once it is written. Every method blocks.

    What the journal names is read again before it is believed: after a loss of power it may be ahead of the
    bytes. A thread that still works when it was closed gets an OSError, and writes nothing.
    """

    def __init__(self, directory: Path, name: str, size: int) -> None:
        self.file, self._journal = directory / f"{name}.part", directory / f"{name}.journal"
        self._size, self._digests = size, dict[int, str]()
        self._in_order = _InOrder()
        # The descriptors of the file and of the journal; a number that was closed may be another file's.
        self._opened: tuple[int, int] | None = None
        self._closed, self._guard = False, threading.Lock()
        self.count = -(-size // PIECE)

    def resume(self, moved: Callable[[], None]) -> list[int]:
        """Opens it, and says which pieces are still to be fetched. `moved` is told while it is read."""
        self._open()
        with suppress(FileNotFoundError, UnicodeDecodeError):
            for line in self._journal.read_text(encoding="ascii").splitlines():
                self._believe(*line.partition(" ")[::2])
                moved()
        with self._files() as (file, _):
            os.ftruncate(file, self._size)
        return [index for index in range(self.count) if index not in self._digests]

    def bounds(self, index: int) -> tuple[int, int]:
        """Where a piece begins and ends."""
        return index * PIECE, min((index + 1) * PIECE, self._size)

    @property
    def done(self) -> int:
        """Bytes that need not be fetched any more."""
        return sum(end - begin for begin, end in map(self.bounds, list(self._digests)))

    def put(self, index: int, content: bytes) -> None:
        """Writes a piece, then journals it."""
        place, left = self.bounds(index)[0], memoryview(content)
        digest = digest_of_piece(content)
        with self._files() as (file, journal):
            while left:
                written = os.pwrite(file, left, place)
                place, left = place + written, left[written:]
            os.write(journal, f"{index} {digest}\n".encode())
        self._digests[index] = digest
        self._in_order.advance(self)

    def md5(self) -> str:
        """Of the whole file, once every piece is there."""
        return self._in_order.whole(self)

    def digest(self) -> str:
        """Of the whole file, once every piece is there."""
        return digest_of_pieces(self._digests[index] for index in range(self.count))

    def read(self, index: int) -> bytes | None:
        """A piece; None while it is not there."""
        if index not in self._digests:
            return None
        return self._read(index)

    def close(self) -> None:
        """What was fetched stays for the next try."""
        with self._guard:
            opened, self._opened, self._closed = self._opened, None, True
        for descriptor in opened or ():
            os.close(descriptor)

    def publish(self, place: Path) -> None:
        """Makes it the file at `place`, which nobody may write any more."""
        with self._files() as (file, _):
            os.fchmod(file, 0o444)
        self.file.replace(place)
        self._journal.unlink(missing_ok=True)

    def discard(self) -> None:
        self.file.unlink(missing_ok=True)
        self._journal.unlink(missing_ok=True)

    def _believe(self, number: str, digest: str) -> None:
        if not number.isdigit() or int(number) >= self.count:
            return
        begin, end = self.bounds(int(number))
        content = self._read(int(number))
        if len(content) == end - begin and digest_of_piece(content) == digest:
            self._digests[int(number)] = digest

    def _read(self, index: int) -> bytes:
        begin, end = self.bounds(index)
        with self._files() as (file, _):
            return os.pread(file, end - begin, begin)

    def _open(self) -> None:
        with self._guard:
            if not self._closed:
                file = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
                try:
                    self._opened = file, os.open(self._journal, flags, 0o600)
                except OSError:
                    os.close(file)
                    raise

    @contextmanager
    def _files(self) -> Iterator[tuple[int, int]]:
        """Kept open for as long as they are used."""
        with self._guard:
            if self._opened is None:
                raise OSError(errno.EBADF, "the fetch was given up")
            yield self._opened


class _InOrder:
    """The MD5 of a file whose pieces come in any order, computed while they come."""

    def __init__(self) -> None:
        self._md5, self._next = hashlib.md5(usedforsecurity=False), 0
        self._busy = threading.Lock()

    def advance(self, part: Part) -> None:
        """As far as the pieces go; by one thread, the others go on."""
        if self._busy.acquire(blocking=False):
            try:
                self._advance(part)
            finally:
                self._busy.release()

    def whole(self, part: Part) -> str:
        with self._busy:
            self._advance(part)
            return self._md5.hexdigest()

    def _advance(self, part: Part) -> None:
        while (piece := part.read(self._next)) is not None:
            self._md5.update(piece)
            self._next += 1
