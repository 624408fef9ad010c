"""Removing, now and then, what instances shared and none uses any more."""

import asyncio
import logging

from libs.domain.errors import EaselError
from services.agent.runtime.port import Runtime

log = logging.getLogger(__name__)

TIDY_EVERY = 600.0


async def keep_tidy(runtime: Runtime, every: float = TIDY_EVERY) -> None:
    """Until cancelled. A runtime that is away is tidied later."""
    while True:
        try:
            await runtime.tidy()
        except (EaselError, OSError) as refused:
            log.warning("the node was not tidied", extra={"why": str(refused)})
        await asyncio.sleep(every)
