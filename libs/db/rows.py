"""Records as rows and back, and what each kind of record is called."""

from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import RowMapping, Table

from libs.db import scaling_tables, tables, traffic_tables
from libs.db.changes import Record
from libs.domain.assets import Dataset, ImagePull, Secret
from libs.domain.records import (
    Event,
    Gpu,
    GpuFence,
    Instance,
    Node,
    ResourceGroup,
    Resources,
    Rollout,
    Service,
    ServiceVersion,
    Token,
)
from libs.domain.scaling import Autoscaler, Cronscaler, Usage
from libs.domain.traffic import AccessToken, Gateway, Group, Mirror, Ramp, Registry

Row = dict[str, Any]


@dataclass(frozen=True)
class Kind:
    """One kind of record: its table and its name in a sentence. `amounts` is the field of `Resources`."""

    record: type[Record]
    table: Table
    noun: str
    amounts: str = ""


KINDS: tuple[Kind, ...] = (
    Kind(Service, tables.services, "service"),
    Kind(ServiceVersion, tables.service_versions, "service version"),
    Kind(Instance, tables.instances, "instance", amounts="resources"),
    Kind(Node, tables.nodes, "node", amounts="capacity"),
    Kind(ResourceGroup, tables.resource_groups, "resource group"),
    Kind(Token, tables.tokens, "token"),
    Kind(Rollout, tables.rollouts, "rollout"),
    Kind(GpuFence, tables.gpu_fences, "GPU fence"),
    Kind(Secret, tables.secrets, "secret"),
    Kind(Dataset, tables.datasets, "dataset"),
    Kind(ImagePull, tables.image_pulls, "image pull"),
    Kind(Group, traffic_tables.groups, "group"),
    Kind(Ramp, traffic_tables.ramps, "ramp"),
    Kind(Mirror, traffic_tables.mirrors, "mirror"),
    Kind(Gateway, traffic_tables.gateways, "gateway"),
    Kind(AccessToken, traffic_tables.access_tokens, "access token"),
    Kind(Registry, traffic_tables.registries, "registry"),
    Kind(Autoscaler, scaling_tables.autoscalers, "autoscaler"),
    Kind(Cronscaler, scaling_tables.cronscalers, "schedule"),
)
_KIND_OF = {kind.record: kind for kind in KINDS}
_KEY_FIELDS = {kind.record: tuple(each.name for each in kind.table.primary_key) for kind in KINDS}
_PLAIN_FIELDS = {
    kind.record: tuple(each.name for each in fields(kind.record) if each.name in kind.table.columns)
    for kind in KINDS
}
_GPU_FIELDS = tuple(each.name for each in fields(Gpu))
_EVENT_FIELDS = tuple(each.name for each in fields(Event))
_USAGE_FIELDS = tuple(each.name for each in fields(Usage))


@dataclass(frozen=True)
class Key:
    """What a record is found by."""

    kind: Kind
    values: tuple[str | int, ...]

    def __str__(self) -> str:
        return f"{self.kind.noun} {'/'.join(str(value) for value in self.values)}"

    def __hash__(self) -> int:
        return hash(self.values)


def key_of(record: Record) -> Key:
    kind = type(record)
    return Key(_KIND_OF[kind], tuple(getattr(record, name) for name in _KEY_FIELDS[kind]))


def row_of(record: Record) -> Row:
    """The record's row in its own table; a node's GPUs are rows of theirs (`gpu_rows`)."""
    row = {name: getattr(record, name) for name in _PLAIN_FIELDS[type(record)]}
    if amounts := _KIND_OF[type(record)].amounts:
        asked: Resources = getattr(record, amounts)
        row |= {
            "cpu_milli": asked.cpu_milli,
            "memory_mib": asked.memory_mib,
            "disk_mib": asked.disk_mib,
            "gpu_count": asked.gpus,
        }
    return row


def record_of(kind: Kind, row: RowMapping, **more: object) -> Any:
    """The record of a row; `more` is what other tables hold of it."""
    values = {name: row[name] for name in _PLAIN_FIELDS[kind.record]} | more
    if kind.amounts:
        values[kind.amounts] = Resources(
            row["cpu_milli"], row["memory_mib"], row["disk_mib"], row["gpu_count"]
        )
    return kind.record(**values)


def gpu_rows(node: Node) -> list[Row]:
    return [{"node": node.name} | {name: getattr(gpu, name) for name in _GPU_FIELDS} for gpu in node.gpus]


def gpu_of(row: RowMapping) -> Gpu:
    return Gpu(**{name: row[name] for name in _GPU_FIELDS})


def event_row(event: Event) -> Row:
    return {name: getattr(event, name) for name in _EVENT_FIELDS}


def event_of(row: RowMapping) -> Event:
    return Event(**{name: row[name] for name in _EVENT_FIELDS})


def usage_row(usage: Usage) -> Row:
    return {name: getattr(usage, name) for name in _USAGE_FIELDS}


def usage_of(row: RowMapping) -> Usage:
    return Usage(**{name: row[name] for name in _USAGE_FIELDS})
