"""What a service is as a whole, second by second: its size, and the means over its ready instances.

Instances come and go, and with them their numbers; what their service was over time stays in windows of its
own.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from services.metrics.reading import Look, OfInstances
from services.metrics.store import STALE_AFTER_S, Store
from services.metrics.tables import Column, Table

_LEVEL = Column.LEVEL


@dataclass(frozen=True)
class Sampled:
    """A table by name of service, and of each row: when the newest number in it arrived, and how many
    instances it is the mean of."""

    table: Table
    arrived: dict[str, float]
    instances: dict[str, int]

    def forget(self, service: str) -> None:
        self.table.forget(service)
        self.arrived.pop(service, None)
        self.instances.pop(service, None)


def _sampled(*columns: str) -> Sampled:
    return Sampled(Table(dict.fromkeys(columns, _LEVEL)), {}, {})


class Samples:
    """Takes a sample of every service when it is asked to, once a second."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.sizes = _sampled("instances", "wanted")
        self.use = _sampled("cpu", "memory", "memory_bytes")
        self.gpus = _sampled("gpu", "gpu_memory")

    def take(self) -> None:
        """One sample of what is known now; what is not known is not sampled."""
        facts, now = self._store.facts, self._store.now()
        for sampled in (self.sizes, self.use, self.gpus):
            for name in [name for name in sampled.arrived if name not in facts.services]:
                sampled.forget(name)
        if facts.known and facts.connected:
            sizes = {
                name: (float(sum(each.ready for each in service.instances)), float(service.wanted))
                for name, service in facts.services.items()
            }
            _keep(self.sizes, sizes, dict.fromkeys(sizes, (now, 0)), now)
        ids = [each.id for service in facts.services.values() for each in service.instances if each.ready]
        look = Look(self._store)
        self._take_means(self.use, look.instance_use(ids), now)
        self._take_means(self.gpus, look.instance_gpus(ids), now)

    def _take_means(self, into: Sampled, of: OfInstances, now: float) -> None:
        """Means over the instances of each service that are known of."""
        instances = self._store.facts.instances
        fresh = (of.heard > now - STALE_AFTER_S) & np.isfinite(of.values).all(axis=0)
        known = np.flatnonzero(fresh)
        if not len(known):
            return
        services: dict[str, int] = {}
        which = np.fromiter(
            (services.setdefault(instances[of.ids[at]][0], len(services)) for at in known), dtype=np.intp
        )
        count = np.bincount(which)
        means = {}
        summed = np.stack([np.bincount(which, weights=row[known]) for row in of.values]) / count
        newest = np.full(len(services), -np.inf)
        np.maximum.at(newest, which, of.heard[known])
        arrived = {}
        for name, at in services.items():
            means[name] = tuple(summed[:, at])
            arrived[name] = (float(newest[at]), int(count[at]))
        _keep(into, means, arrived, now)


def _keep(
    into: Sampled,
    values: Mapping[str, tuple[float, ...]],
    arrived: Mapping[str, tuple[float, int]],
    now: float,
) -> None:
    if not values:
        return
    rows = into.table.rows(list(values))
    into.table.take(rows, np.array(list(values.values()), dtype=np.float64).T, now)
    for name, (at, instances) in arrived.items():
        into.arrived[name], into.instances[name] = at, instances
