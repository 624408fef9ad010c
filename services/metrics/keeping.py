"""Keeps totals on disk, so that a restart loses and doubles nothing; and drops what is no more."""

import asyncio
import io
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from libs.files import replace_file
from libs.lifecycle import pause
from services.metrics.durations import Durations
from services.metrics.envoy_source import Remembered
from services.metrics.envoy_stream import EnvoyStreams
from services.metrics.forgetting import forget_what_is_gone
from services.metrics.latency import BUCKETS
from services.metrics.rings import Floats
from services.metrics.store import Store
from services.metrics.totals import WIDTH, Key, Totals

log = logging.getLogger(__name__)

EVERY = timedelta(seconds=2)
_FORMAT = 1
# What a file raises that is cut off, or something else.
_UNREADABLE = (OSError, EOFError, ValueError, KeyError, TypeError, BadZipFile)


@dataclass(frozen=True)
class Kept:
    """All that outlives a restart, as of one moment."""

    keys: list[Key]
    raw: Floats
    shown: Floats
    lives: list[Remembered]
    services: list[str]
    durations: Floats


def kept(totals: Totals, durations: Durations, lives: Sequence[Remembered]) -> Kept:
    """What there is now, copied."""
    items = list(totals.items())
    places = [place for _, place in items]
    return Kept(
        [key for key, _ in items],
        totals.raw[places],
        totals.shown[places],
        list(lives),
        list(durations.rows),
        durations.counts[list(durations.rows.values())],
    )


def encoded(what: Kept) -> bytes:
    """As the content of a file."""
    words = {
        "format": _FORMAT,
        "keys": [_words(key) for key in what.keys],
        "services": what.services,
        "lives": [
            {
                "node": life.node,
                "word": life.word,
                "started_at": life.started_at,
                "heard_at": life.heard_at,
                "keys": [_words(key) for key in life.keys],
            }
            for life in what.lives
        ],
    }
    last = [life.last for life in what.lives]
    file = io.BytesIO()
    np.savez(
        file,
        words=np.frombuffer(json.dumps(words).encode(), dtype=np.uint8),
        raw=what.raw,
        shown=what.shown,
        last=np.concatenate(last) if last else np.zeros((0, WIDTH)),
        durations=what.durations,
    )
    return file.getvalue()


def decoded(content: bytes) -> Kept:
    """Raises one of `_UNREADABLE` when it is not what `encoded` makes."""
    with np.load(io.BytesIO(content), allow_pickle=False) as file:
        words = json.loads(file["words"].tobytes())
        if words["format"] != _FORMAT:
            raise ValueError(f"it is of format {words['format']}, expected {_FORMAT}")
        last, begin, lives = file["last"], 0, []
        for life in words["lives"]:
            keys = [Key(*each) for each in life["keys"]]
            numbers = last[begin : begin + len(keys)]
            told = (life["node"], life["word"], life["started_at"], life["heard_at"])
            lives.append(Remembered(*told, keys, numbers))
            begin += len(keys)
        keys = [Key(*each) for each in words["keys"]]
        if file["durations"].shape[1:] != (BUCKETS + 1,) or file["raw"].shape != (len(keys), WIDTH):
            raise ValueError("it has other numbers than are counted")
        return Kept(keys, file["raw"], file["shown"], lives, words["services"], file["durations"])


def _words(key: Key) -> list[str]:
    return [key.gateway, key.kind, key.name, key.why]


class Keeping:
    """Writes the file every two seconds and at the end.

    What Prometheus is told is what is in it: a number that it has seen is never taken back, however metrics
    came to its end.
    """

    def __init__(self, store: Store, envoys: EnvoyStreams, path: Path) -> None:
        self._store, self._envoys, self._path = store, envoys, path
        self._trouble = ""

    def restore(self) -> None:
        """Takes what was kept; a file that cannot be read is said, and all begins anew."""
        try:
            found = decoded(self._path.read_bytes())
        except FileNotFoundError:
            return
        except _UNREADABLE as refused:
            log.warning("totals begin anew", extra={"file": str(self._path), "why": str(refused)})
            return
        totals = self._store.totals
        places = [totals.place(key) for key in found.keys]
        totals.raw[places], totals.shown[places] = found.raw, found.shown
        self._store.durations.add(found.services, found.durations)
        self._envoys.remember(found.lives)
        self._store.published = found

    async def run(self, until: asyncio.Event) -> None:
        """Keeps until stopped. Call `keep` once more when nothing is taken in any longer."""
        while not until.is_set():
            await pause(until, EVERY)
            forget_what_is_gone(self._store)
            await self.keep()

    async def keep(self) -> None:
        """Writes the file now. One that cannot be written is said, once, and the work goes on."""
        what = kept(self._store.totals, self._store.durations, self._envoys.lives())
        try:
            await asyncio.to_thread(_write, self._path, what)
            self._trouble = ""
        except OSError as refused:
            if not self._trouble:
                extra = {"file": str(self._path), "why": str(refused)}
                log.warning("totals are not kept; a restart would lose them", extra=extra)
            self._trouble = str(refused)
        self._store.published = what


def _write(path: Path, what: Kept) -> None:
    replace_file(path, encoded(what))
