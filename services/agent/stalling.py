"""Giving up on a preparation that no longer goes forward, however long one that does may take."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from libs.domain.causes import Cause
from libs.domain.states import InstanceState
from services.agent.reporting import Reporting
from services.agent.runtime.port import InstanceTrouble, PrepareFailed, PullFailed

_LOOKS = 20


@dataclass(frozen=True)
class Patience:
    """How long each part of a start may go without a sign of life."""

    pull: timedelta = timedelta(minutes=10)
    prepare: timedelta = timedelta(minutes=10)
    start: timedelta = timedelta(minutes=10)


def stalled(state: InstanceState, moved_at: float, now: float, patience: Patience) -> InstanceTrouble | None:
    """What to say of a preparation in `state` that moved last at `moved_at`; None while it is not stalled."""
    pulls = state is InstanceState.PULLING
    after = patience.pull if pulls else patience.prepare
    if now - moved_at < after.total_seconds():
        return None
    minutes = f"{after.total_seconds() / 60:g} min"
    if pulls:
        return PullFailed(f"the image could not be pulled: no progress for {minutes}", Cause.PULL_STALLED)
    return PrepareFailed(f"the preparation made no progress for {minutes}", Cause.PREPARE_STALLED)


async def while_it_moves(
    work: Awaitable[None],
    phase: Reporting,
    patience: Patience,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Waits for `work`, cancelled once it has stalled. Raises InstanceTrouble then, and what it raises."""
    look_every = min(patience.pull, patience.prepare).total_seconds() / _LOOKS
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait([task], timeout=look_every))[0]:
            why = stalled(phase.state, phase.moved_at, clock(), patience)
            if why is not None:
                raise why
        await task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])
