"""Several services in one event loop: started together, ended in order, and none survives another's death."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from libs.domain.errors import EaselError
from libs.lifecycle import wait_until_any

Run = Callable[[asyncio.Event, asyncio.Event], Coroutine[Any, Any, None]]


@dataclass
class Part:
    """One service. `load` may be slow: it imports the service and gives its `run(stop, ready)`.

    `after` is what it dials: given a moment to be ready before this one is loaded, else done without.
    """

    name: str
    load: Callable[[], Run]
    after: "Part | None" = None
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    begun: bool = False
    task: "asyncio.Task[None] | None" = None


@dataclass(frozen=True)
class Patience:
    """How long the parts may take to be ready, and each of them to end."""

    start: timedelta = timedelta(seconds=60)
    stop: timedelta = timedelta(seconds=40)
    # For what is dialled: a call that finds nobody there waits before it is tried again.
    moment: timedelta = timedelta(seconds=1)


async def run_parts(
    starting: Sequence[Part],
    stopping: Sequence[Part],
    stop: asyncio.Event,
    ready: Callable[[], Coroutine[Any, Any, None]],
    patience: Patience,
) -> None:
    """Runs the parts until `stop`; awaits `ready` once every part is.

    They are loaded one after another in the order of `starting`, each at work while the next one loads, and
    ended one after another in the order of `stopping`. Raises what made a part fail, or an `EaselError` when
    one ends by itself or is not ready in time.
    """
    loading = asyncio.Lock()
    asked = asyncio.create_task(_set(stop))
    for part in starting:
        part.task = asyncio.create_task(_lead(part, loading, patience), name=part.name)
    try:
        if await _all_ready(starting, asked, patience):
            await ready()
            await asyncio.wait({asked, *_tasks(starting)}, return_when=asyncio.FIRST_COMPLETED)
        failed = [part for part in starting if part.task is not None and part.task.done()]
    finally:
        asked.cancel()
        await _end(stopping, patience)
    for part in (*failed, *starting):
        _raise_failure(part)
    if failed and not stop.is_set():
        raise EaselError(f"the {failed[0].name} ended by itself")


async def _lead(part: Part, loading: asyncio.Lock, patience: Patience) -> None:
    async with loading:
        if part.after is not None:
            await wait_until_any(patience.moment, part.after.ready, part.stop)
        if part.stop.is_set():
            return
        run = await asyncio.to_thread(part.load)
    part.begun = True
    await run(part.stop, part.ready)


async def _set(event: asyncio.Event) -> None:
    await event.wait()


async def _each_ready(parts: Sequence[Part]) -> None:
    for part in parts:
        await part.ready.wait()


def _tasks(parts: Sequence[Part]) -> "set[asyncio.Task[None]]":
    return {part.task for part in parts if part.task is not None}


async def _all_ready(parts: Sequence[Part], asked: "asyncio.Task[None]", patience: Patience) -> bool:
    """True when every part is; False when asked to stop or when one ended before."""
    waiting = asyncio.create_task(_each_ready(parts))
    try:
        done, _ = await asyncio.wait(
            {waiting, asked, *_tasks(parts)},
            timeout=patience.start.total_seconds(),
            return_when=asyncio.FIRST_COMPLETED,
        )
    finally:
        waiting.cancel()
    if not done:
        late = ", ".join(part.name for part in parts if not part.ready.is_set())
        raise EaselError(f"not ready after {patience.start.total_seconds():g} s: {late}")
    return done == {waiting}


async def _end(parts: Sequence[Part], patience: Patience) -> None:
    """Asks each part to end and waits for it; what does not end in time is cancelled."""
    for part in parts:
        # What waits for its turn to be loaded is not to begin while others end.
        if not part.begun:
            part.stop.set()
    for part in parts:
        part.stop.set()
        if part.task is not None:
            await asyncio.wait({part.task}, timeout=patience.stop.total_seconds())
            part.task.cancel()
            await asyncio.wait({part.task}, timeout=5)


def _raise_failure(part: Part) -> None:
    if part.task is None or not part.task.done() or part.task.cancelled():
        return
    failure = part.task.exception()
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    if isinstance(failure, EaselError):
        raise EaselError(f"the {part.name} ended: {failure}") from failure
    if failure is not None:
        raise failure
