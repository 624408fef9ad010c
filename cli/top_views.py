"""What `easel top` asks for, and how it shows it: one row a service, instance, node, GPU or gateway. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial

from cli.numbers import UNKNOWN, measured
from cli.output import Columns
from easel_sdk.types import Instance, MetricValues, Node, Selector


class Shown(StrEnum):
    """What there are rows of."""

    SERVICES = "services"
    NODES = "nodes"
    INSTANCES = "instances"
    GPUS = "gpus"
    GATEWAYS = "gateways"


@dataclass(frozen=True)
class Number:
    """A column: its title, the measure, and its name in JSON."""

    title: str
    measure: str
    key: str


@dataclass(frozen=True)
class Row:
    """One thing with its numbers by name in JSON; what is not known is not there."""

    subject: str
    numbers: Mapping[str, float]
    # Facts beside the numbers, by name in JSON.
    facts: Mapping[str, str]


KINDS = {
    Shown.SERVICES: "service",
    Shown.NODES: "node",
    Shown.INSTANCES: "instance",
    Shown.GPUS: "gpu",
    Shown.GATEWAYS: "gateway",
}
NUMBERS: dict[Shown, tuple[Number, ...]] = {
    Shown.SERVICES: (
        Number("QPS", "qps", "qps"),
        Number("OPEN", "in_flight", "in_flight"),
        Number("WAITING", "waiting", "waiting"),
        Number("P50", "rt[p50]", "p50_ms"),
        Number("P99", "rt[p99]", "p99_ms"),
        Number("ERRORS", "errors", "errors"),
        Number("CPU", "cpu", "cpu_percent"),
        Number("MEMORY", "memory", "memory_percent"),
        Number("GPU", "gpu[util]", "gpu_percent"),
        Number("READY", "instances", "ready"),
        Number("WANTED", "wanted", "wanted"),
    ),
    Shown.NODES: (
        Number("CPU", "cpu", "cpu_percent"),
        Number("MEMORY", "memory", "memory_percent"),
        Number("DISK", "disk", "disk_percent"),
        Number("IN", "net_in", "net_in_bytes"),
        Number("OUT", "net_out", "net_out_bytes"),
    ),
    Shown.INSTANCES: (
        Number("CPU", "cpu", "cpu_percent"),
        Number("MEMORY", "memory", "memory_percent"),
        Number("BYTES", "memory_bytes", "memory_bytes"),
        Number("OPEN", "connections", "connections"),
        Number("GPU", "gpu[util]", "gpu_percent"),
        Number("GPU MEMORY", "gpu_memory", "gpu_memory_percent"),
    ),
    Shown.GPUS: (
        Number("UTIL", "util", "util_percent"),
        Number("MEMORY", "memory", "memory_percent"),
        Number("POWER", "power", "power_watts"),
        Number("TEMPERATURE", "temperature", "temperature_celsius"),
    ),
    Shown.GATEWAYS: (
        Number("QPS", "qps", "qps"),
        Number("OPEN", "in_flight", "in_flight"),
        Number("CONNECTIONS", "connections", "connections"),
        Number("ERRORS", "errors", "errors"),
    ),
}
_TITLES = {
    Shown.SERVICES: "SERVICE",
    Shown.NODES: "NODE",
    Shown.INSTANCES: "INSTANCE",
    Shown.GPUS: "GPU",
    Shown.GATEWAYS: "GATEWAY",
}
_FACTS = {Shown.INSTANCES: ("service", "node"), Shown.GPUS: ("node", "model")}
# Facts are of the moment.
_NOW = ("instances", "wanted", "in_flight", "waiting", "connections")


def selectors(shown: Shown, service: str, window: timedelta) -> list[Selector]:
    """What is asked for; with `service` of its instances, or of it alone."""
    kind = KINDS[shown]
    subjects = (service,) if service and shown is Shown.SERVICES else ()
    of_service = service if shown is Shown.INSTANCES else ""
    return [
        Selector(each.measure, kind, subjects, of_service, timedelta() if each.measure in _NOW else window)
        for each in NUMBERS[shown]
    ]


def rows(shown: Shown, told: MetricValues, facts: Mapping[str, Mapping[str, str]]) -> list[Row]:
    """One row a subject that anything is known of, by name."""
    keys = {each.measure: each.key for each in NUMBERS[shown]}
    found: dict[str, dict[str, float]] = {}
    for value in told.values:
        found.setdefault(value.subject, {})[keys[value.measure]] = value.value
    return [Row(subject, found[subject], facts.get(subject, {})) for subject in sorted(found)]


def ordered(listed: Sequence[Row], shown: Shown, by: str) -> list[Row]:
    """The rows with the largest first, or by name; `by` is one of `orders`."""
    if by in ("", "name"):
        return list(listed)
    key = next(each.key for each in NUMBERS[shown] if by in (each.key, each.measure, _word(each.title)))
    return sorted(listed, key=lambda row: row.numbers.get(key, float("-inf")), reverse=True)


def orders(shown: Shown) -> list[str]:
    """What rows can be ordered by."""
    return ["name", *(_word(each.title) for each in NUMBERS[shown])]


def order_exists(shown: Shown, by: str) -> bool:
    known = {name for each in NUMBERS[shown] for name in (each.key, each.measure)}
    return by in ("", *orders(shown)) or by in known


def columns(shown: Shown, listed: Sequence[Row]) -> Columns[Row]:
    """The subject, facts, and numbers that any row has; those of GPUs only where there are some."""
    optional = ("gpu_percent", "gpu_memory_percent")
    return (
        (_TITLES[shown], lambda row: row.subject),
        *((name.upper(), partial(_fact, name=name)) for name in _FACTS.get(shown, ())),
        *(
            (each.title, partial(_number, number=each))
            for each in NUMBERS[shown]
            if each.key not in optional or any(each.key in row.numbers for row in listed)
        ),
    )


def told(shown: Shown, row: Row) -> dict[str, object]:
    """For programs: every number by name, null where it is not known."""
    numbers = {each.key: row.numbers.get(each.key) for each in NUMBERS[shown]}
    rounded = {key: None if value is None else round(value, 4) for key, value in numbers.items()}
    return {_TITLES[shown].lower(): row.subject, **row.facts, **rounded}


def instance_facts(instances: Sequence[Instance]) -> dict[str, Mapping[str, str]]:
    return {each.id: {"service": each.service, "node": each.node} for each in instances}


def gpu_facts(nodes: Sequence[Node]) -> dict[str, Mapping[str, str]]:
    return {
        gpu.uuid: {"node": node.name, "model": gpu.model, "index": str(gpu.index)}
        for node in nodes
        for gpu in node.gpus
    }


def nothing(shown: Shown, facts: Mapping[str, Mapping[str, str]]) -> str:
    """What is said where there is no row."""
    if shown is Shown.GPUS and not facts:
        return "no node has a GPU"
    return f"no numbers of {'GPUs' if shown is Shown.GPUS else shown} yet"


def _word(title: str) -> str:
    return title.lower().replace(" ", "_")


def _fact(row: Row, name: str) -> str:
    return row.facts.get(name, UNKNOWN)


def _number(row: Row, number: Number) -> str:
    return measured(number.measure, row.numbers.get(number.key))
