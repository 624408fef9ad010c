"""Watching whether an instance that runs can take requests."""

import asyncio
from collections.abc import Callable

from services.agent.runtime.port import Running, Runtime

FIRST_LOOK = 0.005
SLOWEST_LOOK = 0.2
READY_LOOK = 2.0
SLOW_ANSWERS_FORGIVEN = 2
EXPLAIN_AFTER = 3.0


async def watch_readiness(
    running: Running, runtime: Runtime, tell: Callable[[bool], None], explain: Callable[[str], None]
) -> None:
    """Tells `True` as soon as the port listens and `False` when it stops, until cancelled.

    Looks often at first and less so later. A refusal counts at once; one without an answer is forgiven twice.
    What keeps it from listening is explained once, where the runtime knows.
    """
    if not running.listens:
        tell(True)
        return
    ready, slow, wait, waited, explained = False, 0, FIRST_LOOK, 0.0, False
    while True:
        try:
            answer = await runtime.listening(running)
            slow = 0
        except OSError:  # A timeout, or no socket left to ask with.
            slow += 1
            answer = ready and slow <= SLOW_ANSWERS_FORGIVEN
        if answer != ready:
            ready, wait = answer, FIRST_LOOK
            tell(ready)
        if not ready and not explained and waited > EXPLAIN_AFTER and (why := await runtime.explain(running)):
            explained = True
            explain(why.why)
        await asyncio.sleep(READY_LOOK if ready else wait)
        waited += wait
        wait = min(SLOWEST_LOOK, wait * 1.3)
