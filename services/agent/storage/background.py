"""An event loop in a thread of its own, so that transfers hold up neither instances nor the heartbeat."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")


class Background:
    """Started at its first use. Its thread holds up no exit."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` returns or raises. When the caller is cancelled, so is `work`."""
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._started()))

    def close(self) -> None:
        """Cancels what runs and waits for it a moment. Safe to call twice."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            ended = asyncio.run_coroutine_threadsafe(_cancel_others(), loop)
            with suppress(TimeoutError):
                ended.result(5)
            loop.call_soon_threadsafe(loop.stop)

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="storage", daemon=True).start()
            return self._loop


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def for_each(items: Iterable[T], act: Callable[[T], Awaitable[None]], at_once: int) -> None:
    """Acts on all, a few at a time. The first refusal ends the rest and is raised."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await act(item)

    workers = [asyncio.ensure_future(worker()) for _ in range(at_once)]
    try:
        await asyncio.gather(*workers)
    finally:
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
