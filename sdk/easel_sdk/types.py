"""What the client library returns: plain frozen values. Sizes in MiB, CPU in thousandths of a core."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from easel_sdk.scaling_types import (
    Autoscaler,
    AutoscalerWritten,
    CronJob,
    Cronscaler,
    CronscalerWritten,
    GroupCapacity,
    LoadPoint,
    MetricPoint,
    MetricSeries,
    MetricValue,
    MetricValues,
    NodeCapacity,
    Replay,
    ReplayStep,
    Scaling,
    Selector,
    Shape,
    Usage,
    UsageSum,
)
from easel_sdk.traffic_types import (
    AccessToken,
    CertificateStatus,
    ComparedPair,
    Comparison,
    DirectEndpoint,
    Gateway,
    GatewayDomain,
    GatewaySettings,
    Group,
    GroupMember,
    LatencyBucket,
    MemberRule,
    Mirror,
    NewAccessToken,
    Ramp,
    RampPhase,
    RampPlan,
    Registry,
    RouteExplanation,
    RouteTarget,
    ServiceTraffic,
    Traffic,
    TrafficMode,
    TrafficState,
    WebLink,
)
from libs.domain.records import Resources
from libs.domain.states import (
    EventKind,
    InstanceState,
    NodeState,
    RolloutPhase,
    Runtime,
    SafetyLock,
    ServiceState,
)


@dataclass(frozen=True)
class RolloutPlan:
    """How an update goes on. Neither partition nor batches: all of it within max_surge and max_unavailable.

    `partition` instances stay at the version before until it is promoted; `batch_size` instances are
    replaced before the next pause, of `interval` or, without one, until a resume. Numbers or percents.
    """

    partition: str = ""
    batch_size: str = ""
    interval: timedelta | None = None
    paused: bool = False


@dataclass(frozen=True)
class Rollout:
    """The way from one version of a service to another: `updated` of `wanted` instances are there."""

    version: int
    from_version: int
    phase: RolloutPhase
    why: str
    plan: RolloutPlan
    updated: int
    wanted: int
    started_at: datetime | None
    finished_at: datetime | None
    # Why the service went back by itself; empty for an update that somebody asked for.
    because: str = ""


class Action(StrEnum):
    """What can be done with an update that is under way."""

    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    UNDO = "undo"


@dataclass(frozen=True)
class Service:
    """A service as the scheduler sees it now. `spec` is its service.json, the token masked."""

    name: str
    id: str
    state: ServiceState
    why: str
    version: int
    running_version: int
    wanted: int
    ready: int
    pending: int
    total: int
    resource_group: str
    endpoint: str
    labels: Mapping[str, str]
    created_at: datetime | None
    updated_at: datetime | None
    revision: int
    pending_reasons: tuple[str, ...]
    spec: Mapping[str, Any]
    safety_lock: SafetyLock = SafetyLock.NONE
    # The newest version there is; `version` is an older one after a roll-back.
    latest_version: int = 0
    # The newest update, also a finished one; None before the first.
    rollout: Rollout | None = None
    # When it is deleted, unless it runs before; None while it runs.
    delete_at: datetime | None = None
    # The group it is a member of; empty for none.
    group: str = ""
    traffic_state: TrafficState = TrafficState.STANDALONE
    # -1: as many as its ready instances.
    weight: int = -1
    # Its share of the group's requests now, from 0 to 1.
    traffic_share: float = 0.0
    # The gateway it is reached through.
    gateway: str = ""


@dataclass(frozen=True)
class Written:
    """A service after a write, and what was accepted without effect or looks like a typing error."""

    service: Service
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """One key whose value an update changes; JSON text, empty where the key is not there."""

    path: str
    before: str
    after: str


@dataclass(frozen=True)
class UpdatePlan:
    """What an update would do: the version in force after it, whether instances are replaced, the steps."""

    changes: tuple[Change, ...]
    version: int
    rolls: bool
    steps: tuple[str, ...]
    warnings: tuple[str, ...] = ()


class Severity(StrEnum):
    NOTE = "Note"
    WARNING = "Warning"
    ERROR = "Error"


@dataclass(frozen=True)
class Finding:
    """Something wrong, or worth knowing: a word for programs, a sentence on it, one on what to do."""

    severity: Severity
    cause: str
    what: str
    advice: str
    subject: str
    evidence: tuple[str, ...] = ()


@dataclass(frozen=True)
class ServiceVersion:
    number: int
    created_at: datetime | None
    why: str
    spec: Mapping[str, Any]


@dataclass(frozen=True)
class ServiceChange:
    """One step of a watch. `service` is None only on the step that ends the initial state (`synced`)."""

    service: Service | None
    deleted: bool = False
    synced: bool = False


@dataclass(frozen=True)
class Progress:
    """How far a transfer is. `total_bytes` is 0 while the size is not known."""

    what: str
    done_bytes: int
    total_bytes: int
    bytes_per_second: int


@dataclass(frozen=True)
class Instance:
    """One running copy of a service."""

    id: str
    service: str
    version: int
    state: InstanceState
    why: str
    ready: bool
    node: str
    address: str
    port: int
    restarts: int
    last_exit: str
    gpu_uuids: tuple[str, ...]
    resources: Resources
    runtime: Runtime | None
    epoch: int
    created_at: datetime | None
    started_at: datetime | None
    ready_at: datetime | None
    # Out of traffic: for inspection, and it may be put back; or for ever, replaced by another.
    isolated: bool = False
    detached: bool = False
    # What is wrong with it, one CamelCase word.
    cause: str = ""
    progress: Progress | None = None
    # Connections that are still open while it drains.
    connections: int = 0
    # Soft restarts asked for so far.
    run: int = 0
    # Where it was placed: "dedicated", "public" or "spot", and the type of its node.
    pool: str = ""
    instance_type: str = ""


@dataclass(frozen=True)
class Gpu:
    """One device of a node. No instance is placed on one that is not healthy, or fenced."""

    uuid: str
    index: int
    model: str
    memory_mib: int
    healthy: bool = True
    why: str = ""
    fenced: bool = False


@dataclass(frozen=True)
class Node:
    """One host with an agent, and what is placed on it."""

    name: str
    resource_group: str
    state: NodeState
    schedulable: bool
    why: str
    address: str
    zone: str
    runtime: Runtime | None
    capacity: Resources
    allocated: Resources
    gpus: tuple[Gpu, ...]
    gpu_note: str
    labels: Mapping[str, str]
    instances: int
    agent_version: str
    last_seen: datetime | None
    draining: bool = False
    # As its labels say: the type of machine, what it costs an hour, whether it is a spot machine.
    instance_type: str = ""
    price: float = 0.0
    spot: bool = False
    # When its owner takes it away.
    reclaim_at: datetime | None = None


@dataclass(frozen=True)
class Draining:
    """A node being emptied, and how many instances are leaving it."""

    node: Node
    moving: int


@dataclass(frozen=True)
class ResourceGroup:
    name: str
    kind: str
    nodes: int
    capacity: Resources
    allocated: Resources
    created_at: datetime | None


@dataclass(frozen=True)
class Event:
    """Something that happened: `reason` is one word for programs, `why` a sentence for people."""

    id: int
    at: datetime | None
    kind: EventKind
    reason: str
    why: str
    subject_kind: str
    subject: str
    service: str


@dataclass(frozen=True)
class Secret:
    """Named values that service.json refers to as secret://NAME/KEY. The values are never given back."""

    name: str
    keys: tuple[str, ...]
    created_at: datetime | None
    updated_at: datetime | None
    used_by: tuple[str, ...]
    # Why its values cannot be read; empty when they can.
    why: str = ""


@dataclass(frozen=True)
class Dataset:
    """A registered source of files; a version of it never changes. `source` is an entry of storage[]."""

    id: str
    version: str
    source: Mapping[str, Any]
    description: str
    created_at: datetime | None
    used_by: tuple[str, ...]


@dataclass(frozen=True)
class ImagePullOnNode:
    node: str
    done: bool
    failed: bool
    why: str
    progress: Progress | None


@dataclass(frozen=True)
class ImagePull:
    """An image that every node of a resource group is to have, and how far each node is."""

    id: str
    image: str
    resource_group: str
    created_at: datetime | None
    nodes: tuple[ImagePullOnNode, ...]


@dataclass(frozen=True)
class Token:
    id: str
    name: str
    role: str
    created_at: datetime | None


@dataclass(frozen=True)
class NewToken:
    """A token just made. The secret cannot be read again."""

    token: Token
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Prediction:
    """A service's answer. `seconds` is from sending the request to the end of the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float
    url: str = ""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", errors="replace")


__all__ = [
    "AccessToken",
    "Action",
    "Autoscaler",
    "AutoscalerWritten",
    "CertificateStatus",
    "Change",
    "ComparedPair",
    "Comparison",
    "CronJob",
    "Cronscaler",
    "CronscalerWritten",
    "Dataset",
    "DirectEndpoint",
    "Draining",
    "Event",
    "EventKind",
    "Finding",
    "Gateway",
    "GatewayDomain",
    "GatewaySettings",
    "Gpu",
    "Group",
    "GroupCapacity",
    "GroupMember",
    "ImagePull",
    "ImagePullOnNode",
    "Instance",
    "InstanceState",
    "LatencyBucket",
    "LoadPoint",
    "MemberRule",
    "MetricPoint",
    "MetricSeries",
    "MetricValue",
    "MetricValues",
    "Mirror",
    "NewAccessToken",
    "NewToken",
    "Node",
    "NodeCapacity",
    "NodeState",
    "Prediction",
    "Progress",
    "Ramp",
    "RampPhase",
    "RampPlan",
    "Registry",
    "Replay",
    "ReplayStep",
    "ResourceGroup",
    "Resources",
    "Rollout",
    "RolloutPhase",
    "RolloutPlan",
    "RouteExplanation",
    "RouteTarget",
    "Runtime",
    "SafetyLock",
    "Scaling",
    "Secret",
    "Selector",
    "Service",
    "ServiceChange",
    "ServiceState",
    "ServiceTraffic",
    "ServiceVersion",
    "Severity",
    "Shape",
    "Token",
    "Traffic",
    "TrafficMode",
    "TrafficState",
    "UpdatePlan",
    "Usage",
    "UsageSum",
    "WebLink",
    "Written",
]
