"""The word that this node is about to be taken away: a file that its owner, or a cloud's tool, puts there."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

log = logging.getLogger(__name__)

LOOK_EVERY = 0.5
USUAL_NOTICE = timedelta(minutes=2)
_LONGEST = 4096
_WHY = "its owner takes the node away"


@dataclass(frozen=True)
class Reclaim:
    """When the node goes, and who says so."""

    at: datetime
    why: str


def reclaim_of(text: str, written_at: datetime) -> Reclaim:
    """What such a file says: a time (RFC 3339) or seconds from when it was written, and then why.

    Without either, two minutes from then; what begins with neither is all of the reason.
    """
    words = text.split()
    at = _time_of(words[0], written_at) if words else None
    why = " ".join(words if at is None else words[1:])
    return Reclaim(at or written_at + USUAL_NOTICE, why or _WHY)


def _time_of(word: str, written_at: datetime) -> datetime | None:
    with suppress(ValueError, OverflowError):
        seconds = float(word)
        if 0 <= seconds < float("inf"):
            return written_at + timedelta(seconds=seconds)
    with suppress(ValueError):
        at = datetime.fromisoformat(word)
        return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return None


class ReclaimSignal:
    """Follows the file at `path`; nothing is ever announced without one."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.announced = self._read()

    async def run(self, changed: Callable[[], None]) -> None:
        """Until cancelled. Calls `changed` whenever something else is announced, or nothing any more."""
        if self._path is None:
            return
        while True:
            await asyncio.sleep(LOOK_EVERY)
            now = await asyncio.to_thread(self._read)
            if now == self.announced:
                continue
            self.announced = now
            if now is not None:
                log.warning("the node is to be taken away", extra={"at": now.at.isoformat(), "why": now.why})
            else:
                log.info("the node stays")
            changed()

    def _read(self) -> Reclaim | None:
        """One that cannot be read is there all the same."""
        if self._path is None:
            return None
        try:
            written_at = datetime.fromtimestamp(self._path.stat().st_mtime, UTC)
        except OSError:
            return None
        text = ""
        with suppress(OSError), self._path.open(encoding="utf-8", errors="replace") as file:
            text = file.read(_LONGEST)
        return reclaim_of(text, written_at)
