"""How tables are read at one moment: each window is added up once, whatever is asked of it."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.metrics.rings import Floats
from services.metrics.store import STALE_AFTER_S, Store
from services.metrics.tables import Table, Window

# What reports once a second has reported in this time.
NEWEST_S = 2.0
_MIB = 1024 * 1024


@dataclass(frozen=True)
class OfInstances:
    """Numbers by instance: `values[column, n]`, NaN for none, and when each was heard of last."""

    ids: list[str]
    values: Floats
    heard: Floats


class Look:
    """The store as of `at`; as of now without. Changes nothing."""

    def __init__(self, store: Store, at: float | None = None) -> None:
        self.store = store
        self.live = at is None
        self.at = store.now() if at is None else at
        # Windows of requests end where all Envoys have told of them.
        self.until = store.until() if at is None else at
        self._windows: dict[tuple[int, float], Window] = {}
        self._histograms: dict[float, Floats] = {}

    def window(self, table: Table, seconds: float) -> Window:
        key = (id(table), seconds)
        if key not in self._windows:
            requests = table is self.store.services or table is self.store.gateways
            self._windows[key] = table.window(seconds, self.until if requests else self.at)
        return self._windows[key]

    def histograms(self, seconds: float) -> Floats:
        """Durations of requests over a window, by row of services."""
        if seconds not in self._histograms:
            found = self.store.latency.window(seconds, self.until)
            missing = len(self.store.services.keys) - found.shape[1]
            # Rows that no duration was ever told of.
            whole = np.pad(found, ((0, 0), (0, missing))) if missing > 0 else found
            self._histograms[seconds] = whole[:, : len(self.store.services.keys)]
        return self._histograms[seconds]

    def rates(self, table: Table, column: str, seconds: float) -> Floats:
        """The growth a second of a SUM by row, over a window; the newest known one for 0 seconds."""
        return self._mean(table, column, seconds)

    def levels(self, table: Table, column: str, seconds: float) -> Floats:
        """A LEVEL by row, as its mean over a window; the newest one for 0 seconds."""
        if seconds:
            return self._mean(table, column, seconds)
        newest = table.newest[table.column(column), : len(table.keys)]
        if table.taken:
            return newest.copy()
        missing = np.isnan(newest)
        return np.where(missing, self._mean(table, column, 0), newest) if missing.any() else newest.copy()

    def instance_use(self, ids: Iterable[str], seconds: float = 0) -> OfInstances:
        """CPU and memory in percent of what each instance asks for, and memory in bytes."""
        table, facts = self.store.instances, self.store.facts
        known, rows = rows_of(table, ids)
        cores = self.rates(table, "cpu_seconds", seconds)[rows]
        memory = self.levels(table, "memory_bytes", seconds)[rows]
        asked_cores, asked_bytes = np.ones(len(known)), np.full(len(known), np.nan)
        for at, instance in enumerate(known):
            service, told = facts.instances.get(instance, ("", None))
            if told is not None and service in facts.services:
                asked = facts.services[service].resources
                asked_cores[at] = asked.cpu_milli / 1000 or 1.0
                asked_bytes[at] = asked.memory_mib * _MIB or self._memory_of_node(told.node)
        values = np.stack([100 * cores / asked_cores, 100 * memory / asked_bytes, memory])
        return OfInstances(known, values, table.heard[rows])

    def instance_gpus(self, ids: Iterable[str], seconds: float = 0) -> OfInstances:
        """The mean use of its GPUs and of their memory, in percent, of each instance that has some."""
        table, facts = self.store.gpus, self.store.facts
        owners: list[int] = []
        gpus: list[str] = []
        known: list[str] = []
        for instance in ids:
            _, told = facts.instances.get(instance, ("", None))
            uuids = [uuid for uuid in (told.gpu_uuids if told is not None else ()) if uuid in table]
            if uuids:
                owners += [len(known)] * len(uuids)
                gpus += uuids
                known.append(instance)
        _, rows = rows_of(table, gpus)
        owner = np.array(owners, dtype=np.intp)
        count = np.bincount(owner, minlength=len(known))
        columns = (self.levels(table, "utilization_percent", seconds), self.gpu_memory(seconds))
        values = np.stack([np.bincount(owner, each[rows], len(known)) / count for each in columns])
        heard = np.full(len(known), -np.inf)
        np.maximum.at(heard, owner, table.heard[rows])
        return OfInstances(known, values, heard)

    def gpu_memory(self, seconds: float) -> Floats:
        """In percent of each GPU's own."""
        return self.share(self.store.gpus, "memory_used_bytes", "memory_total_bytes", seconds)

    def share(self, table: Table, used: str, total: str, seconds: float) -> Floats:
        """One LEVEL in percent of another."""
        with np.errstate(divide="ignore", invalid="ignore"):
            whole = self.levels(table, total, seconds)
            return np.where(whole > 0, 100 * self.levels(table, used, seconds) / whole, np.nan)

    def _mean(self, table: Table, column: str, seconds: float) -> Floats:
        """Of a row that has said nothing in a short time, over all the time in which it is fresh."""
        at = table.column(column)
        found: Floats = self.window(table, seconds or NEWEST_S).means[at]
        if self.live and seconds < STALE_AFTER_S and np.isnan(found).any():
            found = np.where(np.isnan(found), self.window(table, STALE_AFTER_S).means[at], found)
        return found

    def _memory_of_node(self, node: str) -> float:
        table = self.store.nodes
        row = table.find(node)
        if row is not None:
            return float(table.newest[table.column("memory_total_bytes"), row])
        told = self.store.facts.nodes.get(node)
        return float(told.capacity.memory_mib * _MIB) if told and told.capacity.memory_mib else np.nan


def rows_of(table: Table, keys: Iterable[str]) -> tuple[list[str], NDArray[np.intp]]:
    """Those of the keys that the table has, with their rows."""
    found = [(key, row) for key in keys if (row := table.find(key)) is not None]
    return [key for key, _ in found], np.array([row for _, row in found], dtype=np.intp)
