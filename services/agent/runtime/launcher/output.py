"""The output of one instance in two files of bounded size."""

import os

_CHUNK = 65536


class RotatedLog:
    """Appends to `path`, which becomes `path`.1 at half of `limit` bytes: no more than `limit` is kept."""

    def __init__(self, path: str, limit: int) -> None:
        self._path, self._half = path, max(limit // 2, 1)
        self._open()

    def take(self, reader: int) -> bool:
        """Moves what is there from `reader` to the log; False when the reader has nothing."""
        try:
            text = os.read(reader, _CHUNK)
        except BlockingIOError:
            return False
        if text:
            self._write(text)
        return bool(text)

    def drain(self, reader: int) -> None:
        """Takes everything that is left."""
        while self.take(reader):
            pass

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(self._path, flags, 0o600)
        self._size = os.fstat(self._file).st_size

    def _write(self, text: bytes) -> None:
        if self._size + len(text) > self._half and self._size:
            os.close(self._file)
            os.replace(self._path, f"{self._path}.1")
            self._open()
        try:
            os.write(self._file, text)
        except OSError:
            return  # A full disk costs log lines, never the program.
        self._size += len(text)
