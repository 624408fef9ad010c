"""How a process or a loop of Easel ends: when asked, and in order."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any

from libs.domain.errors import EaselError

log = logging.getLogger(__name__)


def stop_requested() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set. Call it inside a running event loop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for wanted in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(wanted, stop.set)
    return stop


def run_until_asked(run: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """The life of a process: `run` in an event loop, with an event that SIGTERM and SIGINT set."""

    async def until_asked() -> None:
        await run(stop_requested())

    asyncio.run(until_asked())


async def pause(stop: asyncio.Event, span: timedelta) -> None:
    """Waits for `span`, or until `stop` is set if that comes first."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), span.total_seconds())


async def repeat(
    step: Callable[[], Awaitable[None]], every: timedelta, stop: asyncio.Event, name: str
) -> None:
    """Runs `step` now and then again `every` so often until `stop`; a failed step is said and tried again.

    An outage, which is an EaselError for as long as it lasts, is said once.
    """
    trouble = ""
    while not stop.is_set():
        try:
            await step()
            trouble = ""
        except EaselError as refused:
            if not trouble:
                log.warning(
                    "a pass could not be made and is tried again", extra={"loop": name, "why": str(refused)}
                )
            trouble = str(refused)
        except Exception:
            log.exception("a pass failed and will be repeated", extra={"loop": name})
        await pause(stop, every)


def ending(task: "asyncio.Task[None]") -> str:
    """How a task that is done came to its end, in a few words."""
    if task.cancelled():
        return "it was ended"
    return str(task.exception() or "it came to its end")


async def wakes(changed: asyncio.Event, stop: asyncio.Event) -> AsyncIterator[None]:
    """One item each time `changed` is set, until `stop` is."""
    stopped = asyncio.create_task(stop.wait())
    try:
        while not stop.is_set():
            woken = asyncio.create_task(changed.wait())
            try:
                await asyncio.wait((woken, stopped), return_when=asyncio.FIRST_COMPLETED)
            finally:
                # Also when whoever watches is cut off meanwhile.
                woken.cancel()
            if changed.is_set():
                changed.clear()
                yield
    finally:
        stopped.cancel()


async def wait_until_any(longest: timedelta, *events: asyncio.Event) -> None:
    """Waits until one of `events` is set, and for `longest` at most."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=longest.total_seconds(), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()
