"""Reading the two files in which the process runtime keeps the output of an instance."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

_CHUNK = 65536
_LOOK_EVERY = 0.1


def tail_of(log: Path, lines: int) -> tuple[bytes, int]:
    """The last `lines` lines (0: all) over both files, and how far the newer file was read."""
    text = _content(log.with_name(f"{log.name}.1"))
    newest = _content(log)
    text += newest
    if lines:
        text = b"".join(text.splitlines(keepends=True)[-lines:])
    return text, len(newest)


def _content(log: Path) -> bytes:
    try:
        return log.read_bytes()
    except FileNotFoundError:  # Nothing was said yet, or it becomes the older file right now.
        return b""


async def follow(log: Path, read: int, alive: Callable[[], bool]) -> AsyncIterator[bytes]:
    """What is appended after the first `read` bytes, until the writer has ended and all is read."""
    opened = None
    try:
        while True:
            last_look = not await asyncio.to_thread(alive)
            if opened is None:
                with suppress(FileNotFoundError):
                    opened = await asyncio.to_thread(log.open, "rb")
                    opened.seek(read)
            while opened is not None and (text := await asyncio.to_thread(opened.read, _CHUNK)):
                yield text
            if opened is not None and _replaced(log, opened.fileno()):
                opened.close()
                opened, read = None, 0
                continue
            if last_look:
                return
            await asyncio.sleep(_LOOK_EVERY)
    finally:
        if opened is not None:
            opened.close()


def _replaced(log: Path, descriptor: int) -> bool:
    try:
        return log.stat().st_ino != Path(f"/proc/self/fd/{descriptor}").stat().st_ino
    except FileNotFoundError:
        return False
