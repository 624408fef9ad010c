"""What Prometheus is told of instances, GPUs and nodes."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial

from easel.common.v1 import common_pb2
from easel.facts.v1 import facts_pb2
from services.metrics.custom import VALID_FOR_S
from services.metrics.exposition import Row, Rows, escaped
from services.metrics.gpus import GpuState
from services.metrics.store import STALE_AFTER_S, Store
from services.metrics.tables import Table

_MIB = 1024 * 1024
Labels = Mapping[str, tuple[str, ...]]


def nodes(store: Store) -> dict[str, Rows]:
    """The families of instances, GPUs and nodes."""
    return {**_instances(store), **_gpus(store), **_nodes(store)}


def _column(store: Store, table: Table, column: str, labels: Labels, factor: float = 1.0) -> Iterator[Row]:
    """The newest number of each that is not stale."""
    since = store.now() - STALE_AFTER_S
    newest, heard = table.newest[table.column(column)].tolist(), table.heard.tolist()
    for key, words in labels.items():
        row = table.find(key)
        if row is not None and heard[row] > since:
            yield words, newest[row] * factor


def _instances(store: Store) -> dict[str, Rows]:
    services, instances = list(store.facts.services.values()), dict(store.facts.instances)
    labels = {
        key: (escaped(key), escaped(service), escaped(each.node))
        for key, (service, each) in instances.items()
    }

    def asked(amount: Callable[[common_pb2.Resources], float]) -> Iterator[Row]:
        for service in services:
            number = amount(service.resources)
            if number:
                yield from ((labels[each.id], number) for each in service.instances)

    def restarts() -> Iterator[Row]:
        reported = dict(_column(store, store.instances, "restarts", labels))
        for key, (_, each) in instances.items():
            yield labels[key], max(float(each.restarts), reported.get(labels[key], 0.0))

    def phases() -> Iterator[Row]:
        for key, (_, each) in instances.items():
            yield from (((*labels[key], escaped(phase.name)), phase.seconds) for phase in each.phases)

    of = partial(_column, store, store.instances, labels=labels)
    return {
        "easel_instance_cpu_seconds": partial(of, "cpu_seconds"),
        "easel_instance_cpu_limit_cores": partial(asked, lambda each: each.cpu_milli / 1000),
        "easel_instance_memory_bytes": partial(of, "memory_bytes"),
        "easel_instance_memory_limit_bytes": partial(asked, lambda each: float(each.memory_mib * _MIB)),
        "easel_instance_restarts": restarts,
        "easel_instance_connections": partial(of, "connections"),
        "easel_instance_ready": lambda: (
            (labels[key], float(each.ready)) for key, (_, each) in instances.items()
        ),
        "easel_instance_start_phase_seconds": phases,
        "easel_custom": partial(_custom, store, labels),
    }


def _custom(store: Store, labels: Labels) -> Iterator[Row]:
    since = store.now() - VALID_FOR_S
    for series in list(store.custom.all()):
        at, value = series.points.newest
        words = labels.get(series.instance)
        if at > since and words is not None:
            yield (*words, escaped(series.name), escaped(",".join(map(_tag, series.tags)))), value


def _tag(tag: tuple[str, str]) -> str:
    """A comma of its own is told from those between tags: no two series read alike."""
    name, text = tag
    return f"{name}={text}".replace("\\", "\\\\").replace(",", "\\,")


def _gpus(store: Store) -> dict[str, Rows]:
    states = [each for each in store.gpu_states.values() if _is_fresh(store, each.uuid)]
    labels = {
        each.uuid: (escaped(each.uuid), str(each.index), escaped(each.model), escaped(each.node))
        for each in states
    }
    of = partial(_column, store, store.gpus, labels=labels)

    def told(words: Callable[[GpuState], dict[str, float]]) -> Iterator[Row]:
        for each in states:
            for word, number in words(each).items():
                yield (*labels[each.uuid], escaped(word)), number

    def assigned() -> Iterator[Row]:
        for each in states:
            for instance in each.instances:
                service, _ = store.facts.instances.get(instance, ("", None))
                yield (escaped(each.uuid), escaped(each.node), escaped(instance), escaped(service)), 1.0

    return {
        "easel_gpu_utilization_ratio": partial(of, "utilization_percent", factor=0.01),
        "easel_gpu_memory_used_bytes": partial(of, "memory_used_bytes"),
        "easel_gpu_memory_total_bytes": partial(of, "memory_total_bytes"),
        "easel_gpu_power_watts": partial(of, "power_watts"),
        "easel_gpu_temperature_celsius": partial(of, "temperature_celsius"),
        "easel_gpu_sm_clock_hertz": partial(of, "sm_clock_hertz"),
        "easel_gpu_memory_clock_hertz": partial(of, "memory_clock_hertz"),
        "easel_gpu_throttled": partial(told, lambda each: dict.fromkeys(each.throttle_reasons, 1.0)),
        "easel_gpu_ecc_errors": partial(told, _ecc),
        "easel_gpu_xid_errors": partial(
            told, lambda each: {str(xid): float(seen) for xid, seen in each.xids.items()}
        ),
        "easel_gpu_healthy": lambda: ((labels[each.uuid], float(each.healthy)) for each in states),
        "easel_gpu_assigned": assigned,
    }


def _is_fresh(store: Store, uuid: str) -> bool:
    """Whether an agent still tells of it: how a card was before its node went away says nothing."""
    row = store.gpus.find(uuid)
    return row is not None and bool(store.gpus.heard[row] > store.now() - STALE_AFTER_S)


def _ecc(state: GpuState) -> dict[str, float]:
    kinds = {"corrected": state.ecc_corrected, "uncorrected": state.ecc_uncorrected}
    return {kind: float(seen) for kind, seen in kinds.items() if seen is not None}


def _nodes(store: Store) -> dict[str, Rows]:
    facts = dict(store.facts.nodes)
    labels = {name: (escaped(name),) for name in {*facts, *filter(None, store.nodes.keys)}}
    of = partial(_column, store, store.nodes, labels=labels)

    def told(number: Callable[[facts_pb2.NodeFacts], float]) -> Iterator[Row]:
        yield from ((labels[name], number(each)) for name, each in facts.items())

    def resources(which: Callable[[facts_pb2.NodeFacts], common_pb2.Resources]) -> Iterator[Row]:
        for name, each in facts.items():
            found = which(each)
            yield (*labels[name], "cpu_cores"), found.cpu_milli / 1000
            yield (*labels[name], "memory_bytes"), float(found.memory_mib * _MIB)
            yield (*labels[name], "gpus"), float(found.gpus)

    def info() -> Iterator[Row]:
        for name, each in facts.items():
            words = (each.resource_group, each.kind, each.instance_type, "true" if each.spot else "false")
            yield (*labels[name], *map(escaped, words)), 1.0

    ready = common_pb2.NODE_STATE_READY
    return {
        "easel_node": info,
        "easel_node_ready": partial(told, lambda each: float(each.state == ready)),
        "easel_node_schedulable": partial(told, lambda each: float(each.schedulable and not each.draining)),
        **{f"easel_node_{column}": partial(of, column) for column in store.nodes.columns},
        "easel_node_capacity": partial(resources, lambda each: each.capacity),
        "easel_node_allocated": partial(resources, lambda each: each.allocated),
        "easel_node_fenced_gpus": partial(told, lambda each: float(each.fenced_gpus)),
    }
