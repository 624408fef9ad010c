"""A store of numbers with a clock that tests set, and parts of Easel that report to it."""

from typing import Any

import numpy as np

from easel.common.v1 import common_pb2 as common
from easel.facts.v1 import facts_pb2 as facts
from services.metrics.latency import BOUNDS_MS
from services.metrics.measures import Kind, parse_measure
from services.metrics.queries import Asked, numbers, steps
from services.metrics.reading import Look
from services.metrics.samples import Samples
from services.metrics.store import Store
from services.metrics.tables import Table

BEGAN = 1_000_000.0


class Stage:
    """Every method reports what one second brought, up to the stage's `now`."""

    def __init__(self) -> None:
        self.now = BEGAN
        self.store = Store(now=lambda: self.now)
        self.samples = Samples(self.store)

    def pass_seconds(self, seconds: float = 1.0) -> None:
        self.now += seconds
        self.samples.take()

    def knows(self, *services: facts.ServiceFacts, nodes: tuple[facts.NodeFacts, ...] = ()) -> None:
        """The scheduler tells of these and no others."""
        self.store.facts.connected = True
        self.store.facts.take(facts.WatchResponse(full=True, services=services, nodes=nodes))

    def envoy(self, service: str, **amounts: float) -> None:
        """A gateway tells of the last second of a service: sums as how many, levels as what they are."""
        self._spread(self.store.services, service, amounts)
        self.store.envoys["envoy"] = self.now

    def gateway(self, name: str, **amounts: float) -> None:
        self._spread(self.store.gateways, name, amounts)

    def answered(self, service: str, *milliseconds: float) -> None:
        """Requests that ended in the last second."""
        row = self.store.services.row(service)
        self.store.latency.make_room(row + 1)
        histogram = np.zeros((len(BOUNDS_MS) + 2, 1))
        for each in milliseconds:
            histogram[int(np.searchsorted(BOUNDS_MS, each)), 0] += 1
            histogram[-1, 0] += each
        self.store.latency.add(np.array([row]), histogram, self.now - 1, self.now)

    def reports(self, table: Table, key: str, **values: float) -> None:
        """An agent tells numbers as they stand; the rest it does not tell."""
        row = table.row(key)
        told = np.full((len(table.columns), 1), np.nan)
        for name, value in values.items():
            told[table.column(name), 0] = value
        table.take(np.array([row]), told, self.now)

    def instance(self, key: str, **values: float) -> None:
        self.reports(self.store.instances, key, **{"connections": 0, "restarts": 0, **values})

    def asks(self, measure: str, kind: str = "service", seconds: int = 0, **asked: Any) -> dict[str, float]:
        """The numbers now, by subject."""
        found = numbers(_asked(measure, kind, seconds, **asked), Look(self.store), self.samples)
        return {each.subject: round(each.value, 6) for each in found}

    def follows(
        self, measure: str, last: int, step: int = 1, kind: str = "service"
    ) -> dict[str, list[float]]:
        """The values of each step, by subject."""
        found: dict[str, list[float]] = {}
        for _, told in steps(_asked(measure, kind, 0), last, step, Look(self.store), self.samples):
            for number in told:
                found.setdefault(number.subject, []).append(round(number.value, 6))
        return found

    def _spread(self, table: Table, key: str, amounts: dict[str, float]) -> None:
        rows = table.rows([key])
        told = np.zeros((len(table.columns), 1))
        for name, amount in amounts.items():
            told[table.column(name), 0] = amount
        table.spread(rows, told, self.now - 1, self.now)
        table.cover(rows, self.now - 1, self.now)


def _asked(measure: str, kind: str, seconds: int, **asked: Any) -> Asked:
    of = Kind(kind)
    subjects = frozenset(asked.pop("subjects", ()))
    return Asked(parse_measure(measure, of), of, subjects, asked.pop("of_service", ""), seconds)


def a_service(
    name: str, *instances: facts.InstanceFacts, wanted: int = 1, cpu_milli: int = 0, memory_mib: int = 0
) -> facts.ServiceFacts:
    resources = common.Resources(cpu_milli=cpu_milli, memory_mib=memory_mib)
    return facts.ServiceFacts(name=name, wanted=wanted, resources=resources, instances=instances)


def an_instance(key: str, *gpus: str, ready: bool = True, node: str = "n1") -> facts.InstanceFacts:
    return facts.InstanceFacts(id=key, ready=ready, node=node, gpu_uuids=gpus)
