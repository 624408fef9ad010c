"""Numbers of services by the minute, in a file: for what is longer ago than windows reach, and for what was
before a restart.

Every call opens the file anew and may be made in a thread of its own; only one writes at a time.
"""

import json
import logging
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from services.metrics.measures import Kind, names_of

log = logging.getLogger(__name__)

MINUTE_S = 60
# Every measure of a service, as it is named in full; custom ones are kept by their names as well.
KEPT = tuple(name for name in names_of(Kind.SERVICE) if not name.startswith(("custom[", "qps1k")))
_LATENCY = "rt["
_BUSY_S = 10.0
# Minutes.
_DROPPED_EVERY = 60
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS services (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)",
    "CREATE TABLE IF NOT EXISTS minutes (service INTEGER, minute INTEGER, PRIMARY KEY (service, minute)) "
    "WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS custom (service INTEGER, measure TEXT, minute INTEGER, value REAL, "
    "PRIMARY KEY (service, measure, minute)) WITHOUT ROWID",
)


@dataclass(frozen=True)
class Minute:
    """What is kept of one minute, by service and measure. `end` counts minutes since 1970."""

    end: int
    numbers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    custom: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


class History:
    """The file. Its methods raise `sqlite3.Error` and `OSError` when it cannot be read or written now."""

    def __init__(self, path: Path, minutes: int) -> None:
        self._path = path
        # For so many a number is kept; 0 keeps none.
        self.minutes = minutes
        self._made = False

    def begin(self) -> None:
        """Makes the file where there is none. One that is no database is said, and makes room for another."""
        try:
            self._make()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as refused:
            self._begin_anew(str(refused))

    def write(self, minute: Minute, there: Collection[str] | None) -> None:
        """Adds a minute, and drops what is too old, and services that are not `there`; None does not know."""
        # Also where somebody took the file away meanwhile.
        self.begin()
        try:
            with closing(self._open()) as file, file:
                self._write(file, minute, there)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as refused:
            self._begin_anew(str(refused))

    def _write(self, file: sqlite3.Connection, minute: Minute, there: Collection[str] | None) -> None:
        named = {*minute.numbers, *minute.custom}
        file.executemany("INSERT OR IGNORE INTO services (name) VALUES (?)", ((each,) for each in named))
        ids = dict(file.execute("SELECT name, id FROM services"))
        file.executemany(_INSERT, _rows(minute, ids))
        file.executemany("INSERT OR REPLACE INTO custom VALUES (?, ?, ?, ?)", _custom_rows(minute, ids))
        if there is not None:
            _drop(file, [number for name, number in ids.items() if name not in there and name not in named])
        if minute.end % _DROPPED_EVERY == 0:
            _drop_before(file, ids.values(), minute.end - self.minutes)

    def read(
        self, measure: str, services: Collection[str], since: int, until: int, step: int
    ) -> list[tuple[str, int, float]]:
        """The service, the end and the number of each step of so many minutes, of those after `since`.

        Of a step of several minutes that is their mean, of a latency the longest.
        """
        if not self._made:
            return []
        wide = measure in KEPT
        table, value = ("minutes", f'm."{measure}"') if wide else ("custom", "m.value")
        conditions = [f"m.minute > :since AND m.minute <= :until AND {value} IS NOT NULL"]
        if not wide:
            conditions.append("m.measure = :measure")
        if services:
            conditions.append("s.name IN (SELECT value FROM json_each(:services))")
        summed = "max" if measure.startswith(_LATENCY) else "avg"
        text = (
            f"SELECT s.name, (m.minute + :step - 1) / :step * :step AS step, {summed}({value}) "
            f"FROM services s JOIN {table} m ON m.service = s.id WHERE {' AND '.join(conditions)} "
            "GROUP BY s.name, step ORDER BY s.name, step"
        )
        given = {"since": since, "until": until, "step": step, "measure": measure}
        with closing(self._open()) as file:
            return list(file.execute(text, {**given, "services": json.dumps(list(services))}))

    def _make(self) -> None:
        with closing(self._open()) as file, file:
            file.execute("PRAGMA journal_mode = WAL")
            for statement in _SCHEMA:
                file.execute(statement)
            there = {row[1] for row in file.execute("PRAGMA table_info(minutes)")}
            for name in KEPT:
                if name not in there:
                    file.execute(f'ALTER TABLE minutes ADD COLUMN "{name}" REAL')
        self._made = True

    def _begin_anew(self, why: str) -> None:
        log.warning("history begins anew", extra={"file": str(self._path), "why": why})
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        self._make()

    def _open(self) -> sqlite3.Connection:
        file = sqlite3.connect(self._path, timeout=_BUSY_S)
        file.execute("PRAGMA synchronous = NORMAL")
        return file


_COLUMNS = ", ".join(f'"{name}"' for name in KEPT)
_INSERT = f"INSERT OR REPLACE INTO minutes (service, minute, {_COLUMNS}) VALUES (?, ?{', ?' * len(KEPT)})"


def _rows(minute: Minute, ids: Mapping[str, int]) -> Iterator[tuple[float | None, ...]]:
    for service, told in minute.numbers.items():
        yield (ids[service], minute.end, *(told.get(name) for name in KEPT))


def _custom_rows(minute: Minute, ids: Mapping[str, int]) -> Iterator[tuple[int, str, int, float]]:
    for service, told in minute.custom.items():
        for measure, value in told.items():
            yield ids[service], measure, minute.end, value


def _drop(file: sqlite3.Connection, services: Iterable[int]) -> None:
    gone = [(each,) for each in services]
    for statement in ("minutes WHERE service", "custom WHERE service", "services WHERE id"):
        file.executemany(f"DELETE FROM {statement} = ?", gone)


def _drop_before(file: sqlite3.Connection, services: Iterable[int], minute: int) -> None:
    old = [(each, minute) for each in services]
    file.executemany("DELETE FROM minutes WHERE service = ? AND minute <= ?", old)
    file.executemany("DELETE FROM custom WHERE service = ? AND minute <= ?", old)
