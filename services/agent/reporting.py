"""What is said of an instance while it is prepared, and whether that still goes forward."""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from libs.domain.progress import Progress
from libs.domain.states import InstanceState

TOLD_EVERY = 1.0


@dataclass(frozen=True)
class Pace:
    """The rate of one transfer, from two looks at it that are at least a second apart."""

    what: str
    since: float
    done_bytes: int
    bytes_per_second: int = 0

    def at(self, done_bytes: int, now: float) -> "Pace":
        rate = round((done_bytes - self.done_bytes) / max(now - self.since, 0.001))
        return Pace(self.what, now, done_bytes, max(rate, 0))


class Reporting:
    """See `Phase`. What it is told from other threads is said by the thread of the event loop."""

    def __init__(
        self,
        tell: Callable[[InstanceState, str], None],
        tell_progress: Callable[[Progress], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tell, self._tell_progress, self._clock = tell, tell_progress, clock
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        self._pace: Pace | None = None
        self._last = ("", -1)
        self._over = False
        self.state = InstanceState.PREPARING
        self.moved_at = clock()

    def __call__(self, state: InstanceState, why: str) -> None:
        self._say(self._phase, state, why)

    def progress(self, what: str, done_bytes: int, total_bytes: int = 0) -> None:
        self._say(self._progress, what, done_bytes, total_bytes)

    def moved(self) -> None:
        self.moved_at = self._clock()

    def close(self) -> None:
        """Nothing more is said, whoever still calls."""
        self._over = True

    def _say(self, say: Callable[..., None], *what: object) -> None:
        if threading.get_ident() == self._thread:
            say(*what)
        elif not self._loop.is_closed():
            self._loop.call_soon_threadsafe(say, *what)

    def _phase(self, state: InstanceState, why: str) -> None:
        self.moved()
        if not self._over:
            self.state, self._pace = state, None
            self._tell(state, why)

    def _progress(self, what: str, done_bytes: int, total_bytes: int) -> None:
        now = self._clock()
        if (what, done_bytes) != self._last:
            self._last, self.moved_at = (what, done_bytes), now
        before = self._pace
        if before is None or before.what != what:
            self._pace = Pace(what, now, done_bytes)
        elif now - before.since >= TOLD_EVERY:
            self._pace = before.at(done_bytes, now)
        else:
            return
        if not self._over:
            self._tell_progress(Progress(what, done_bytes, total_bytes, self._pace.bytes_per_second))
