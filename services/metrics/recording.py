"""Writes each minute into the history, once all have told of it."""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from libs.lifecycle import pause
from services.metrics.history import KEPT, MINUTE_S, History, Minute
from services.metrics.measures import Kind, parse_measure
from services.metrics.posted import means_of_services
from services.metrics.queries import Asked, numbers
from services.metrics.reading import Look
from services.metrics.samples import Samples
from services.metrics.store import Store

log = logging.getLogger(__name__)

# So long after its end a minute is looked at.
_LATE_S = 3.0
_ASKED = {name: Asked(parse_measure(name, Kind.SERVICE), Kind.SERVICE, seconds=MINUTE_S) for name in KEPT}


class Recording:
    """Takes down what services were in each minute."""

    def __init__(self, store: Store, samples: Samples, history: History) -> None:
        self._store, self._samples, self._history = store, samples, history
        self._trouble = ""

    async def run(self, until: asyncio.Event) -> None:
        """Until stopped; ends at once where no history is kept."""
        if self._history.minutes:
            await self._tried(self._history.begin)
        while self._history.minutes and not until.is_set():
            now = self._store.now()
            end = int((now - _LATE_S) // MINUTE_S) + 1
            await pause(until, timedelta(seconds=end * MINUTE_S + _LATE_S - now))
            if not until.is_set():
                await self.record(end)

    async def record(self, end: int) -> None:
        """Writes the minute with that end."""
        minute, facts = await self._seen(end), self._store.facts
        there = set(facts.services) if facts.known else None
        await self._tried(partial(self._history.write, minute, there))

    async def _tried(self, step: Callable[[], None]) -> None:
        """What cannot be written is said, once, and left out."""
        try:
            await asyncio.to_thread(step)
            self._trouble = ""
        except (sqlite3.Error, OSError) as refused:
            if not self._trouble:
                log.warning("history is not written", extra={"why": str(refused)})
            self._trouble = str(refused)

    async def _seen(self, end: int) -> Minute:
        found: dict[str, dict[str, float]] = {}
        for name, asked in _ASKED.items():
            for number in numbers(asked, Look(self._store, end * MINUTE_S), self._samples):
                found.setdefault(number.subject, {})[name] = number.value
            # What comes in meanwhile is taken in: of many services this takes a while.
            await asyncio.sleep(0)
        return Minute(end, found, means_of_services(MINUTE_S, Look(self._store, end * MINUTE_S)))
