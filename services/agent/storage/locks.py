"""One writer at a time, also between agents of one host. The kernel lets go when a holder is killed."""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

_LOOK_EVERY = 0.05


@asynccontextmanager
async def locked(path: Path, waiting: Callable[[], None]) -> AsyncIterator[int]:
    """Holds the lock and gives its descriptor; `waiting` is called again and again until it is free."""
    while (descriptor := try_lock(path)) is None:
        waiting()
        await asyncio.sleep(_LOOK_EVERY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def on_change(lock: Path, tell: Callable[[], None]) -> Callable[[], None]:
    """For those who wait for a lock: calls `tell` whenever its holder has touched it."""
    seen = 0

    def look() -> None:
        nonlocal seen
        try:
            changed = lock.stat().st_mtime_ns
        except FileNotFoundError:
            return
        if changed != seen:
            seen = changed
            tell()

    return look


def try_lock(path: Path) -> int | None:
    """The lock, to be given back by closing it; None when it is held. Who holds it may remove the file."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        if _is(descriptor, path):
            return descriptor
        os.close(descriptor)


def _is(descriptor: int, path: Path) -> bool:
    try:
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False
