"""Calls that block for nobody knows how long: engines, registries, file systems of other machines."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from services.agent.mounts import Mount
from services.agent.runtime.port import PrepareFailed

T = TypeVar("T")
FILES_WITHIN = 20.0


async def in_own_thread(work: Callable[[], T]) -> T:
    """What `work` returns or raises, from a thread that holds up neither other work nor the exit.

    When the caller stops waiting, `work` goes on to its own end and its outcome is dropped.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T] = loop.create_future()

    def settle(tell: Callable[[], None]) -> None:
        if not outcome.done():
            tell()

    def run() -> None:
        try:
            tell = partial(outcome.set_result, work())
        except BaseException as error:
            tell = partial(outcome.set_exception, error)
        with suppress(RuntimeError):  # The loop was closed: nobody waits any more.
            loop.call_soon_threadsafe(settle, tell)

    threading.Thread(target=run, daemon=True).start()
    return await outcome


async def prepared_mount(prepare: Callable[[Mount], None], mount: Mount) -> None:
    """Looks at what is behind a mount. Raises PrepareFailed when that refuses or does not answer."""
    try:
        await asyncio.wait_for(in_own_thread(partial(prepare, mount)), FILES_WITHIN)
    except TimeoutError:
        raise PrepareFailed(
            f"{mount.path}: {mount.source} on the node does not answer within {FILES_WITHIN:g} s"
        ) from None
    except OSError as refused:
        raise PrepareFailed(f"{mount.path}: {mount.source} cannot be had: {refused}") from refused
