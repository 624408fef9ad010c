"""A file that is being fetched: its bytes so far, and a journal that survives whoever fetches it."""

import hashlib
import os
import threading
from contextlib import suppress
from pathlib import Path

from services.agent.storage.digests import PIECE, digest_of_piece, digest_of_pieces


class Part:
    """The pieces of one file, each journalled with its digest once it is written. Every method blocks.

    What the journal names is read again before it is believed: after a loss of power it may be ahead of the
    bytes.
    """

    def __init__(self, directory: Path, name: str, size: int) -> None:
        self.file, self._journal = directory / f"{name}.part", directory / f"{name}.journal"
        self._size, self._digests = size, dict[int, str]()
        self._in_order = _InOrder()
        self.count = -(-size // PIECE)

    def resume(self) -> list[int]:
        """Opens it, and says which pieces are still to be fetched."""
        self._descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._log = os.open(self._journal, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        with suppress(OSError, UnicodeDecodeError):
            for line in self._journal.read_text(encoding="ascii").splitlines():
                self._believe(*line.partition(" ")[::2])
        os.ftruncate(self._descriptor, self._size)
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
        while left:
            written = os.pwrite(self._descriptor, left, place)
            place, left = place + written, left[written:]
        digest = digest_of_piece(content)
        os.write(self._log, f"{index} {digest}\n".encode())
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
        begin, end = self.bounds(index)
        return os.pread(self._descriptor, end - begin, begin)

    def close(self) -> None:
        """What was fetched stays for the next try."""
        os.close(self._descriptor)
        os.close(self._log)

    def publish(self, place: Path) -> None:
        """Makes it the file at `place`, which nobody may write any more."""
        os.fchmod(self._descriptor, 0o444)
        self.file.replace(place)
        self._journal.unlink(missing_ok=True)

    def discard(self) -> None:
        self.file.unlink(missing_ok=True)
        self._journal.unlink(missing_ok=True)

    def _believe(self, number: str, digest: str) -> None:
        if not number.isdigit() or int(number) >= self.count:
            return
        begin, end = self.bounds(int(number))
        content = os.pread(self._descriptor, end - begin, begin)
        if len(content) == end - begin and digest_of_piece(content) == digest:
            self._digests[int(number)] = digest


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
