"""The tables. A column has its record field's name; a change here needs a migration beside it."""

from sqlalchemy import BigInteger, Boolean, Column, Index, MetaData, String, Table

from libs.db.column_types import Labels, Moment, Sentence, Tuple, Word
from libs.domain.states import (
    EventKind,
    InstanceState,
    NodeState,
    RolloutPhase,
    Runtime,
    SafetyLock,
    ServiceState,
    TokenRole,
)

metadata = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s"}
)


def _key(name: str) -> Column[str]:
    return Column(name, String, primary_key=True)


def _text(name: str) -> Column[str]:
    return Column(name, Sentence, nullable=False)


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _flag(name: str) -> Column[bool]:
    return Column(name, Boolean, nullable=False)


def _amounts() -> tuple[Column[int], ...]:
    return tuple(_number(name) for name in ("cpu_milli", "memory_mib", "disk_mib", "gpu_count"))


services = Table(
    "services",
    metadata,
    _key("name"),
    _text("id"),
    _number("version"),
    _number("wanted"),
    _text("token"),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("state", Word(ServiceState), nullable=False),
    _text("why"),
    _flag("stopped"),
    _flag("deleting"),
    _text("resource_group"),
    Column("labels", Labels, nullable=False),
    _text("traceparent"),
    _text("idempotency_key"),
    Column("restarted_at", Moment),
    _number("stable_version"),
    Column("safety_lock", Word(SafetyLock), nullable=False),
    _number("edits"),
    Column("idle_since", Moment),
    _number("idle_warned_days"),
    _number("revision"),
)

rollouts = Table(
    "rollouts",
    metadata,
    _key("service"),
    _number("version"),
    _number("from_version"),
    Column("started_at", Moment, nullable=False),
    Column("phase", Word(RolloutPhase), nullable=False),
    _text("why"),
    _text("partition"),
    _text("batch_size"),
    Column("interval_s", BigInteger),
    _flag("paused"),
    _flag("promoted"),
    _number("released"),
    Column("stepped_at", Moment),
    Column("finished_at", Moment),
    _text("because"),
    _number("revision"),
)

service_versions = Table(
    "service_versions",
    metadata,
    _key("service"),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    _text("spec_json"),
    Column("created_at", Moment, nullable=False),
    _text("why"),
    _number("revision"),
)

instances = Table(
    "instances",
    metadata,
    _key("id"),
    _text("service"),
    _number("version"),
    Column("created_at", Moment, nullable=False),
    Column("state", Word(InstanceState), nullable=False),
    _text("why"),
    _flag("ready"),
    _text("node"),
    _number("epoch"),
    _text("address"),
    _number("port"),
    _number("host_port"),
    _number("restarts"),
    Column("gpu_uuids", Tuple, nullable=False),
    *_amounts(),
    _text("last_exit"),
    Column("started_at", Moment),
    Column("ready_at", Moment),
    Column("drain_started_at", Moment),
    _flag("stopping"),
    _text("traceparent"),
    _flag("isolated"),
    _flag("detached"),
    _text("replace_why"),
    Column("restart_asked_at", Moment),
    _number("run"),
    _text("cause"),
    _number("revision"),
)

nodes = Table(
    "nodes",
    metadata,
    _key("name"),
    Column("created_at", Moment, nullable=False),
    _text("resource_group"),
    Column("state", Word(NodeState), nullable=False),
    _text("why"),
    _flag("schedulable"),
    _flag("draining"),
    _text("address"),
    _text("zone"),
    Column("runtime", Word(Runtime), nullable=False),
    *_amounts(),
    _text("gpu_note"),
    _text("gpu_driver_version"),
    Column("labels", Labels, nullable=False),
    Column("images", Tuple, nullable=False),
    _number("first_port"),
    _number("last_port"),
    Column("busy_ports", Tuple, nullable=False),
    Column("cuda_versions", Tuple, nullable=False),
    _number("epoch"),
    Column("last_seen", Moment),
    _text("agent_version"),
    _number("revision"),
)

gpus = Table(
    "gpus",
    metadata,
    _key("node"),
    _key("uuid"),
    _number("index"),
    _text("model"),
    _number("memory_mib"),
    _flag("healthy"),
    _text("why"),
)

gpu_fences = Table(
    "gpu_fences",
    metadata,
    _key("node"),
    _key("uuid"),
    _text("cause"),
    _text("why"),
    Column("at", Moment, nullable=False),
    _number("count"),
    Column("lifted_at", Moment),
    _number("revision"),
)

secrets = Table(
    "secrets",
    metadata,
    _key("name"),
    Column("keys", Tuple, nullable=False),
    _text("sealed"),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    _number("revision"),
)

datasets = Table(
    "datasets",
    metadata,
    _key("id"),
    _key("version"),
    _text("source_json"),
    Column("created_at", Moment, nullable=False),
    _text("description"),
    _number("revision"),
)

image_pulls = Table(
    "image_pulls",
    metadata,
    _key("id"),
    _text("image"),
    _text("resource_group"),
    Column("created_at", Moment, nullable=False),
    _text("docker_auth"),
    _number("revision"),
)

resource_groups = Table(
    "resource_groups",
    metadata,
    _key("name"),
    _text("kind"),
    Column("created_at", Moment, nullable=False),
    _number("revision"),
)

tokens = Table(
    "tokens",
    metadata,
    _key("id"),
    _text("name"),
    Column("role", Word(TokenRole), nullable=False),
    _text("secret_sha256"),
    Column("created_at", Moment, nullable=False),
    _number("revision"),
)

events = Table(
    "events",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("kind", Word(EventKind), nullable=False),
    _text("reason"),
    _text("why"),
    _text("subject_kind"),
    _text("subject"),
    _text("service"),
    Index(None, "service", "id"),
    Index(None, "subject", "id"),
)

# Numbers that only grow, by name.
counters = Table("counters", metadata, _key("name"), _number("value"))
