"""The tables. A column has its record field's name; a change here needs a migration beside it."""

from sqlalchemy import BigInteger, Column, Float, Index, Table

from libs.db.column_types import Labels, Moment, Tuple, Values, Word
from libs.db.columns import flag, key, metadata, number, text
from libs.domain.scaling import PolicyBefore, StartPhase
from libs.domain.states import (
    EventKind,
    InstanceState,
    NodeState,
    RolloutPhase,
    Runtime,
    SafetyLock,
    ServiceState,
    TokenRole,
    TrafficState,
)


def _amounts() -> tuple[Column[int], ...]:
    return tuple(number(name) for name in ("cpu_milli", "memory_mib", "disk_mib", "gpu_count"))


services = Table(
    "services",
    metadata,
    key("name"),
    text("id"),
    number("version"),
    number("wanted"),
    text("token"),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("state", Word(ServiceState), nullable=False),
    text("why"),
    flag("stopped"),
    flag("deleting"),
    text("resource_group"),
    Column("labels", Labels, nullable=False),
    text("traceparent"),
    text("idempotency_key"),
    Column("restarted_at", Moment),
    number("stable_version"),
    Column("safety_lock", Word(SafetyLock), nullable=False),
    number("edits"),
    Column("idle_since", Moment),
    number("idle_warned_days"),
    text("group"),
    text("gateway"),
    Column("traffic_state", Word(TrafficState), nullable=False),
    number("weight"),
    Column("leave_first", Tuple, nullable=False),
    number("revision"),
)

rollouts = Table(
    "rollouts",
    metadata,
    key("service"),
    number("version"),
    number("from_version"),
    Column("started_at", Moment, nullable=False),
    Column("phase", Word(RolloutPhase), nullable=False),
    text("why"),
    text("partition"),
    text("batch_size"),
    Column("interval_s", BigInteger),
    flag("paused"),
    flag("promoted"),
    number("released"),
    Column("stepped_at", Moment),
    Column("finished_at", Moment),
    text("because"),
    Column("policies_before", Values(PolicyBefore), nullable=False),
    number("revision"),
)

service_versions = Table(
    "service_versions",
    metadata,
    key("service"),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    text("spec_json"),
    Column("created_at", Moment, nullable=False),
    text("why"),
    number("revision"),
)

instances = Table(
    "instances",
    metadata,
    key("id"),
    text("service"),
    number("version"),
    Column("created_at", Moment, nullable=False),
    Column("state", Word(InstanceState), nullable=False),
    text("why"),
    flag("ready"),
    text("node"),
    number("epoch"),
    text("address"),
    number("port"),
    number("host_port"),
    number("restarts"),
    Column("gpu_uuids", Tuple, nullable=False),
    *_amounts(),
    text("last_exit"),
    Column("started_at", Moment),
    Column("ready_at", Moment),
    Column("drain_started_at", Moment),
    flag("stopping"),
    text("traceparent"),
    flag("isolated"),
    flag("detached"),
    text("replace_why"),
    Column("restart_asked_at", Moment),
    number("run"),
    text("cause"),
    number("made_from"),
    Column("placed_at", Moment),
    text("resource_group"),
    text("pool"),
    text("instance_type"),
    Column("price", Float, nullable=False),
    flag("leaves_patiently"),
    Column("phases", Values(StartPhase), nullable=False),
    number("revision"),
)

nodes = Table(
    "nodes",
    metadata,
    key("name"),
    Column("created_at", Moment, nullable=False),
    text("resource_group"),
    Column("state", Word(NodeState), nullable=False),
    text("why"),
    flag("schedulable"),
    flag("draining"),
    text("address"),
    text("zone"),
    Column("runtime", Word(Runtime), nullable=False),
    *_amounts(),
    text("gpu_note"),
    text("gpu_driver_version"),
    Column("labels", Labels, nullable=False),
    Column("images", Tuple, nullable=False),
    number("first_port"),
    number("last_port"),
    Column("busy_ports", Tuple, nullable=False),
    Column("cuda_versions", Tuple, nullable=False),
    number("epoch"),
    Column("last_seen", Moment),
    text("agent_version"),
    Column("reclaim_at", Moment),
    text("reclaim_why"),
    flag("reclaim_by_agent"),
    number("revision"),
)

gpus = Table(
    "gpus",
    metadata,
    key("node"),
    key("uuid"),
    number("index"),
    text("model"),
    number("memory_mib"),
    flag("healthy"),
    text("why"),
)

gpu_fences = Table(
    "gpu_fences",
    metadata,
    key("node"),
    key("uuid"),
    text("cause"),
    text("why"),
    Column("at", Moment, nullable=False),
    number("count"),
    Column("lifted_at", Moment),
    number("revision"),
)

secrets = Table(
    "secrets",
    metadata,
    key("name"),
    Column("keys", Tuple, nullable=False),
    text("sealed"),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    number("revision"),
)

datasets = Table(
    "datasets",
    metadata,
    key("id"),
    key("version"),
    text("source_json"),
    Column("created_at", Moment, nullable=False),
    text("description"),
    number("revision"),
)

image_pulls = Table(
    "image_pulls",
    metadata,
    key("id"),
    text("image"),
    text("resource_group"),
    Column("created_at", Moment, nullable=False),
    text("docker_auth"),
    number("revision"),
)

resource_groups = Table(
    "resource_groups",
    metadata,
    key("name"),
    text("kind"),
    Column("created_at", Moment, nullable=False),
    number("revision"),
)

tokens = Table(
    "tokens",
    metadata,
    key("id"),
    text("name"),
    Column("role", Word(TokenRole), nullable=False),
    text("secret_sha256"),
    Column("created_at", Moment, nullable=False),
    number("revision"),
)

events = Table(
    "events",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("kind", Word(EventKind), nullable=False),
    text("reason"),
    text("why"),
    text("subject_kind"),
    text("subject"),
    text("service"),
    Column("details", Labels, nullable=False),
    Index(None, "service", "id"),
    Index(None, "subject", "id"),
)

# Numbers that only grow, by name.
counters = Table("counters", metadata, key("name"), number("value"))
