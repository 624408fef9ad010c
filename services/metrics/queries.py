"""What is answered when numbers are asked for: read from the store as of one moment, or of many. Pure."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import ceil

import numpy as np

from services.metrics.history import MINUTE_S
from services.metrics.latency import means, quantiles
from services.metrics.measures import LEAST_LATENCY_S, PERCENTILES, Kind, Measure
from services.metrics.posted import posted
from services.metrics.reading import Look, OfInstances
from services.metrics.rings import COARSE_S, FINE_FOR_S, FINE_S, LONGEST_S, Floats
from services.metrics.samples import Sampled, Samples
from services.metrics.store import STALE_AFTER_S
from services.metrics.tables import Table

ABOUT_POINTS = 120


@dataclass(frozen=True)
class Asked:
    """What one selector asks for; `seconds` is 0 for the newest number."""

    measure: Measure
    kind: Kind
    subjects: frozenset[str] = frozenset()
    of_service: str = ""
    seconds: int = 0

    def wants(self, subject: str) -> bool:
        return not self.subjects or subject in self.subjects


@dataclass(frozen=True)
class Number:
    """One answer: how long ago the newest in it arrived, and of how many instances it is the mean."""

    subject: str
    value: float
    age: float
    instances: int = 0


@dataclass(frozen=True)
class _Column:
    """One number by key; `instances` of each where it is a mean of some. NaN is not known."""

    keys: Sequence[str]
    values: Floats
    arrived: Floats
    instances: Sequence[int] = ()
    # For how long after it arrived a number counts.
    valid_s: float = STALE_AFTER_S


def numbers(asked: Asked, look: Look, samples: Samples) -> list[Number]:
    """What is known of each subject; what is missing or stale is not told, of nothing there is 0."""
    column = _READERS[asked.kind](asked, look, samples)
    told = np.isfinite(column.values)
    if look.live:
        told &= look.at - column.arrived <= column.valid_s
    ages = np.maximum(look.at - column.arrived, 0.0)
    counted = column.instances or [0] * len(column.keys)
    every = not asked.subjects
    values, ages_list, keys = column.values.tolist(), ages.tolist(), column.keys
    return [
        Number(keys[at], values[at], ages_list[at], counted[at])
        for at in np.flatnonzero(told).tolist()
        if keys[at] and (every or keys[at] in asked.subjects)
    ]


def step_for(last_s: int, step_s: int) -> int:
    """The step of a range: as asked for, or such that there are about 120 points, no finer than is kept."""
    if step_s:
        return step_s
    step = max(ceil(last_s / ABOUT_POINTS), 1)
    kept = FINE_S if last_s <= FINE_FOR_S else COARSE_S if last_s <= LONGEST_S else MINUTE_S
    return ceil(step / kept) * kept


def steps(
    asked: Asked, last_s: int, step_s: int, now: Look, samples: Samples
) -> Iterator[tuple[float, list[Number]]]:
    """The end of each step of the last so many seconds, with the numbers of it; worked out one by one."""
    step = step_for(last_s, step_s)
    for end in _ends(now.until, last_s, step):
        point = replace(asked, seconds=max(asked.seconds, step))
        yield end, numbers(point, Look(now.store, end), samples)


def _ends(until: float, last_s: int, step: int) -> Iterator[float]:
    """Ends of whole steps, so that a later look finds the same ones."""
    newest = until // step * step
    first = newest - (ceil(last_s / step) - 1) * step
    return (first + each * step for each in range(ceil(last_s / step)))


# ---------------------------------------------------------------------------------------------- by kind

_SERVICE_RATES = {
    "qps": "requests",
    "refused": "refused",
    "bytes_in": "bytes_in",
    "bytes_out": "bytes_out",
}
_SAMPLED = {"instances": "sizes", "wanted": "sizes", "gpu": "gpus", "gpu_memory": "gpus"}
_GATEWAY = {"qps": "requests", "errors": "errors"}
_NODE_RATES = {"net_in": "network_received_bytes", "net_out": "network_sent_bytes"}
_GPU = {"util": "utilization_percent", "power": "power_watts", "temperature": "temperature_celsius"}
_USE = {"cpu": 0, "memory": 1, "memory_bytes": 2}


def _service(asked: Asked, look: Look, samples: Samples) -> _Column:
    name = asked.measure.name
    if name == "custom":
        return _custom(asked, look, samples)
    if name in ("cpu", "memory", "memory_bytes", *_SAMPLED):
        return _of_samples(getattr(samples, _SAMPLED.get(name, "use")), name, asked, look)
    table = look.store.services
    return _whole(table, _requests(asked, look))


def _requests(asked: Asked, look: Look) -> Floats:
    """Of every service, what its requests come to."""
    table, seconds, name = look.store.services, asked.seconds, asked.measure.name
    if name in _SERVICE_RATES:
        return look.rates(table, _SERVICE_RATES[name], seconds)
    if name == "status":
        return look.rates(table, f"status_{asked.measure.argument}", seconds)
    if name == "qps1k":
        return 1000 * look.rates(table, "requests", seconds)
    if name == "rt":
        return _latency(asked, look)
    if name in ("errors", "error_rate"):
        failed = _failed(look, seconds)
    if name == "errors":
        return failed
    if name == "error_rate":
        answered = look.rates(table, "answered", seconds)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(answered > 0, failed / answered, answered)
    if name == "concurrency":
        return look.levels(table, "in_flight", seconds) + _waiting(look, seconds)
    return _waiting(look, seconds) if name == "waiting" else look.levels(table, name, seconds)


def _failed(look: Look, seconds: float) -> Floats:
    """Answers with 5xx, and calls of gRPC that failed with whatever status of HTTP: no answer is both."""
    table = look.store.services
    return look.rates(table, "status_5xx", seconds) + look.rates(table, "grpc_failed", seconds)


def _waiting(look: Look, seconds: float) -> Floats:
    """What gateways hold, as they tell it; where they do not, as the scheduler knows it."""
    table, services = look.store.services, look.store.facts.services
    found = look.levels(table, "waiting", seconds)
    for at in np.flatnonzero(np.isnan(found)) if look.live else ():
        if table.keys[at] in services:
            found[at] = services[table.keys[at]].waiting
    return found


def _latency(asked: Asked, look: Look) -> Floats:
    """Milliseconds; 0 for a service that answered nothing in the time."""
    seconds = max(asked.seconds, LEAST_LATENCY_S)
    histograms = look.histograms(seconds)
    share = PERCENTILES.get(asked.measure.argument)
    found = means(histograms) if share is None else quantiles(histograms, share)
    covered = look.window(look.store.services, seconds).covered > 0
    return np.where(np.isnan(found) & covered, 0.0, found)


def _of_samples(sampled: Sampled, name: str, asked: Asked, look: Look) -> _Column:
    table = sampled.table
    values = look.levels(table, name, asked.seconds)
    arrived = np.array([sampled.arrived.get(key, -np.inf) for key in table.keys])
    return _Column(table.keys, values, arrived, [sampled.instances.get(key, 0) for key in table.keys])


def _custom(asked: Asked, look: Look, _: Samples) -> _Column:
    found = posted(asked.measure, asked.kind, asked.wants, asked.of_service, asked.seconds, look)
    return _Column(
        [each.subject for each in found],
        np.array([each.value for each in found]),
        np.array([each.arrived for each in found]),
        [each.instances for each in found],
        valid_s=np.inf,
    )


def _instance(asked: Asked, look: Look, samples: Samples) -> _Column:
    name = asked.measure.name
    if name == "custom":
        return _custom(asked, look, samples)
    ids = list(_instances(asked, look))
    if name == "connections":
        table = look.store.instances
        whole = _whole(table, look.levels(table, name, asked.seconds))
        wanted = set(ids)
        return _Column([key if key in wanted else "" for key in whole.keys], whole.values, whole.arrived)
    if name in _USE:
        return _row(look.instance_use(ids, asked.seconds), _USE[name])
    return _row(look.instance_gpus(ids, asked.seconds), ("gpu", "gpu_memory").index(name))


def _instances(asked: Asked, look: Look) -> Iterator[str]:
    """The instances that are asked about, of those that there are."""
    facts = look.store.facts
    if asked.of_service:
        service = facts.services.get(asked.of_service)
        named = [each.id for each in service.instances] if service is not None else []
        return (each for each in named if asked.wants(each))
    return (each for each in (asked.subjects or facts.instances) if each in facts.instances)


def _row(found: OfInstances, at: int) -> _Column:
    return _Column(found.ids, found.values[at], found.heard)


def _node(asked: Asked, look: Look, _: Samples) -> _Column:
    table, seconds, name = look.store.nodes, asked.seconds, asked.measure.name
    if name in _NODE_RATES:
        return _whole(table, look.rates(table, _NODE_RATES[name], seconds))
    if name == "cpu":
        cores = look.levels(table, "cpu_cores", seconds)
        with np.errstate(divide="ignore", invalid="ignore"):
            used = 100 * look.rates(table, "cpu_seconds", seconds) / cores
            return _whole(table, np.where(cores > 0, used, np.nan))
    return _whole(table, look.share(table, f"{name}_used_bytes", f"{name}_total_bytes", seconds))


def _gpu(asked: Asked, look: Look, _: Samples) -> _Column:
    table, name = look.store.gpus, asked.measure.name
    if name == "memory":
        return _whole(table, look.gpu_memory(asked.seconds))
    return _whole(table, look.levels(table, _GPU[name], asked.seconds))


def _gateway(asked: Asked, look: Look, _: Samples) -> _Column:
    table, name = look.store.gateways, asked.measure.name
    if name in _GATEWAY:
        return _whole(table, look.rates(table, _GATEWAY[name], asked.seconds))
    return _whole(table, look.levels(table, name, asked.seconds))


def _whole(table: Table, values: Floats) -> _Column:
    return _Column(table.keys, values, table.heard[: len(table.keys)])


_READERS: dict[Kind, Callable[[Asked, Look, Samples], _Column]] = {
    Kind.SERVICE: _service,
    Kind.INSTANCE: _instance,
    Kind.NODE: _node,
    Kind.GPU: _gpu,
    Kind.GATEWAY: _gateway,
}
