"""Watching whether an instance that runs can take requests."""

import asyncio
from collections.abc import Awaitable, Callable

from services.agent.runtime.port import Running

FIRST_LOOK = 0.005
SLOWEST_LOOK = 0.2
READY_LOOK = 2.0
SLOW_ANSWERS_FORGIVEN = 2


async def watch_readiness(
    running: Running, listening: Callable[[Running], Awaitable[bool]], tell: Callable[[bool], None]
) -> None:
    """Tells `True` as soon as the port listens and `False` when it stops, until cancelled.

    Looks often at first and less so later. A refusal counts at once; one without an answer is forgiven twice.
    """
    if not running.listens:
        tell(True)
        return
    ready, slow, wait = False, 0, FIRST_LOOK
    while True:
        try:
            answer = await listening(running)
            slow = 0
        except TimeoutError:
            slow += 1
            answer = ready and slow <= SLOW_ANSWERS_FORGIVEN
        if answer != ready:
            ready = answer
            tell(ready)
            wait = FIRST_LOOK
        await asyncio.sleep(READY_LOOK if ready else wait)
        wait = min(SLOWEST_LOOK, wait * 1.3)
