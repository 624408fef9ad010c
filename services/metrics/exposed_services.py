"""What Prometheus is told of services and gateways."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

import numpy as np

from easel.common.v1 import common_pb2
from easel.facts.v1 import facts_pb2
from services.metrics import totals
from services.metrics.envoy_stream import EnvoyStreams
from services.metrics.exposition import Row, Rows, escaped
from services.metrics.filing import class_of
from services.metrics.keeping import Kept
from services.metrics.latency import BOUNDS_MS, BUCKETS
from services.metrics.store import Store
from services.metrics.totals import Key

_DURATIONS = "easel_service_request_duration_seconds"
_CLASSES = {
    "2xx": totals.STATUS_2XX,
    "3xx": totals.STATUS_3XX,
    "4xx": totals.STATUS_4XX,
    "5xx": totals.STATUS_5XX,
}
_REASONS = ("rate_limit", "concurrency", "timeout", "waiting")
_OUTCOMES = {"ok": totals.GRPC_OK, "failed": totals.GRPC_FAILED}
_STATE = common_pb2.InstanceState
# What an operator tells apart; a name of the contract each.
_STATES = {
    _STATE.INSTANCE_STATE_PENDING: "pending",
    _STATE.INSTANCE_STATE_CRASH_LOOP_BACK_OFF: "troubled",
    _STATE.INSTANCE_STATE_IMAGE_PULL_BACK_OFF: "troubled",
    _STATE.INSTANCE_STATE_FAILED: "troubled",
    _STATE.INSTANCE_STATE_LOST: "troubled",
    _STATE.INSTANCE_STATE_TERMINATING: "leaving",
}
Known = Sequence[facts_pb2.ServiceFacts]
# The gateway's gauges are as of its newest message.
_NEWEST_S = 1.5


def services(store: Store, envoys: EnvoyStreams) -> dict[str, Rows]:
    """The families of services and gateways."""
    found = store.published
    known = list(store.facts.services.values())
    return {
        "easel_service": partial(_info, known),
        "easel_service_requests": partial(_requests, known, found),
        "easel_service_requests_in_flight": partial(_in_flight, known, envoys),
        "easel_service_requests_refused": partial(_refused, known, found),
        "easel_service_requests_waiting": lambda: (
            ((escaped(each.name),), float(each.waiting)) for each in known
        ),
        "easel_service_request_bytes": partial(_of_versions, known, found, {"": totals.BYTES_IN}),
        "easel_service_response_bytes": partial(_of_versions, known, found, {"": totals.BYTES_OUT}),
        "easel_service_grpc_calls": partial(_grpc_calls, known, found),
        "easel_service_instances_wanted": lambda: (
            ((escaped(each.name),), float(each.wanted)) for each in known
        ),
        "easel_service_instances": partial(_instances, known),
        "easel_service_state": partial(_state, known),
        **_gateways(store, envoys, found),
    }


def durations(found: Kept | None) -> dict[str, Callable[[], Iterable[str]]]:
    """The lines of the histograms, which are the most by far."""
    return {_DURATIONS: partial(_histograms, found)}


def state_of(instance: facts_pb2.InstanceFacts) -> str:
    """Pending, starting, ready, troubled or leaving."""
    if instance.leaving:
        return "leaving"
    return "ready" if instance.ready else _STATES.get(instance.state, "starting")


def _info(known: Known) -> Iterator[Row]:
    for each in known:
        words = (each.name, str(each.version), each.group, each.resource_group, each.workspace)
        yield tuple(map(escaped, words)), 1.0


def _of_versions(known: Known, found: Kept | None, columns: dict[str, int]) -> Iterator[Row]:
    """Rows by service, version, gateway and the words of `columns`.

    They are there before the first request: what begins with another number than 0 is no growth to
    Prometheus.
    """
    told = set()
    for key, shown in _blocks(found, "cluster"):
        service, _, version = key.name.rpartition("/")
        told.add((service, version, key.gateway))
        labels = (escaped(service), version, escaped(key.gateway))
        for word, column in columns.items():
            yield (*labels, word) if word else labels, shown[column]
    for each in known:
        if (each.name, str(each.version), each.gateway) not in told:
            labels = (escaped(each.name), str(each.version), escaped(each.gateway))
            yield from (((*labels, word) if word else labels, 0.0) for word in columns)


def _requests(known: Known, found: Kept | None) -> Iterator[Row]:
    yield from _of_versions(known, found, _CLASSES)
    # What was refused before a version was chosen is said of version 0.
    refused: dict[tuple[str, ...], float] = {}
    for key, shown in _blocks(found, "refused"):
        status = class_of(key.why).removeprefix("status_")
        labels = (escaped(key.name), "0", escaped(key.gateway), status)
        refused[labels] = refused.get(labels, 0.0) + shown[totals.REFUSED]
    yield from refused.items()


def _refused(known: Known, found: Kept | None) -> Iterator[Row]:
    summed: dict[tuple[str, ...], float] = {
        (escaped(each.name), escaped(each.gateway), reason): 0.0 for each in known for reason in _REASONS
    }

    def add(key: Key, reason: str, number: float) -> None:
        labels = (escaped(key.service), escaped(key.gateway), reason)
        summed[labels] = summed.get(labels, 0.0) + number

    for key, shown in _blocks(found, "cluster"):
        add(key, "concurrency", shown[totals.OVERFLOWED])
        add(key, "timeout", shown[totals.TIMED_OUT])
    for key, shown in _blocks(found, "refused"):
        add(key, key.why.partition(".")[0], shown[totals.REFUSED])
    yield from summed.items()


def _grpc_calls(known: Known, found: Kept | None) -> Iterator[Row]:
    """There before the first call of a service that speaks gRPC; of others, once somebody called one so."""
    summed: dict[tuple[str, ...], float] = {
        (escaped(each.name), str(each.version), escaped(each.gateway), outcome): 0.0
        for each in known
        if each.grpc
        for outcome in _OUTCOMES
    }
    for key, shown in _blocks(found, "cluster"):
        if shown[totals.GRPC_OK] or shown[totals.GRPC_FAILED]:
            service, _, version = key.name.rpartition("/")
            for outcome, column in _OUTCOMES.items():
                summed[escaped(service), version, escaped(key.gateway), outcome] = shown[column]
    yield from summed.items()


def _blocks(found: Kept | None, kind: str) -> Iterator[tuple[Key, list[float]]]:
    if found is not None:
        for key, shown in zip(found.keys, found.shown.tolist(), strict=True):
            if key.kind == kind:
                yield key, shown


def _in_flight(known: Known, envoys: EnvoyStreams) -> Iterator[Row]:
    """0 before the first request, too, as long as the gateway is heard of: of another nobody knows."""
    heard = envoys.uptimes()
    found = {(each.name, str(each.version), each.gateway): 0.0 for each in known if each.gateway in heard}
    for key, number in envoys.in_flight().items():
        service, _, version = key.name.rpartition("/")
        found[service, version, key.gateway] = number
    for (service, version, gateway), number in found.items():
        yield (escaped(service), version, escaped(gateway)), number


def _instances(known: Known) -> Iterator[Row]:
    for service in known:
        numbers: dict[tuple[str, str], int] = {}
        for instance in service.instances:
            labels = (state_of(instance), instance.pool or "none")
            numbers[labels] = numbers.get(labels, 0) + 1
        name = escaped(service.name)
        yield from (((name, *labels), float(number)) for labels, number in numbers.items())


def _state(known: Known) -> Iterator[Row]:
    names = common_pb2.ServiceState.Name
    for service in known:
        state = names(service.state).removeprefix("SERVICE_STATE_").lower()
        yield (escaped(service.name), state), 1.0


def _histograms(found: Kept | None) -> Iterator[str]:
    if found is None:
        return
    bounds = [f'le="{bound / 1000!r}"}} ' for bound in BOUNDS_MS] + ['le="+Inf"} ']
    below = np.cumsum(found.durations[:, :BUCKETS], axis=1).astype(np.int64).tolist()
    for service, counts, sum_ms in zip(found.services, below, found.durations[:, BUCKETS], strict=True):
        label = f'service="{escaped(service)}"'
        prefix = f"{_DURATIONS}_bucket{{{label},"
        yield from (f"{prefix}{bound}{count}\n" for bound, count in zip(bounds, counts, strict=True))
        yield f"{_DURATIONS}_count{{{label}}} {counts[-1]}\n"
        yield f"{_DURATIONS}_sum{{{label}}} {float(sum_ms) / 1000!r}\n"


def _gateways(store: Store, envoys: EnvoyStreams, found: Kept | None) -> dict[str, Rows]:
    facts = dict(store.facts.gateways)

    def of_facts(number: Callable[[facts_pb2.GatewayFacts], float]) -> Iterator[Row]:
        yield from (((escaped(name),), number(each)) for name, each in facts.items())

    def counted(column: int) -> Iterator[Row]:
        # There before the first request, as with services.
        numbers = {(escaped(name),): 0.0 for name in facts}
        numbers |= {(escaped(key.gateway),): shown[column] for key, shown in _blocks(found, "gateway")}
        yield from numbers.items()

    def level(column: str) -> Iterator[Row]:
        means = store.gateways.window(_NEWEST_S, store.now()).means[store.gateways.column(column)]
        for row, name in enumerate(store.gateways.keys):
            if name:
                yield (escaped(name),), float(means[row])

    return {
        "easel_gateway_connected": partial(of_facts, lambda each: float(each.connected)),
        "easel_gateway_envoys": partial(of_facts, lambda each: float(each.envoys)),
        "easel_gateway_generations_behind": partial(of_facts, lambda each: float(each.behind)),
        "easel_gateway_requests": partial(counted, totals.CAME_IN),
        "easel_gateway_requests_5xx": partial(counted, totals.CAME_5XX),
        "easel_gateway_requests_in_flight": partial(level, "in_flight"),
        "easel_gateway_connections": partial(level, "connections"),
        "easel_gateway_uptime_seconds": lambda: (
            ((escaped(name),), uptime) for name, uptime in envoys.uptimes().items()
        ),
    }
