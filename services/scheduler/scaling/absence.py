"""Whether the autoscaler is there: it is for as long as it follows the facts."""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from services.scheduler.world import World

log = logging.getLogger(__name__)

# What it calls itself when it follows the facts.
COMPONENT = "autoscaler"
# One that is only just starting, or dials again, is not away.
_GRACE = timedelta(seconds=10)


class Absence:
    """Knows since when the autoscaler is away; says so once while a service has need of it, and once that it
    is back."""

    def __init__(self, world: World, there: Callable[[], bool], clock: Callable[[], datetime]) -> None:
        self._world, self._there, self._clock = world, there, clock
        self._missed_since: datetime | None = clock()
        self._said = False

    def since(self) -> datetime | None:
        """None while it is there, and for the first seconds without it."""
        missed = self._missed_since
        if missed is None or self._there() or self._clock() - missed < _GRACE:
            return None
        return missed

    async def look(self) -> None:
        """To be called every second."""
        if self._there():
            self._missed_since = None
            if self._said:
                log.info("the autoscaler is back")
            self._said = False
            return
        if self._missed_since is None:
            self._missed_since = self._clock()
        since = self.since()
        if since is not None and not self._said and self._needed():
            self._said = True
            why = "sizes follow no load and no schedule, and services at 0 are not woken"
            log.warning("the autoscaler is away", extra={"since": since.isoformat(), "why": why})

    def _needed(self) -> bool:
        return bool(self._world.autoscalers or self._world.cronscalers)
