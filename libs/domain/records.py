"""The things Easel keeps, as plain frozen values. A row of the database is one of these.

`revision` grows by one with every write of the row; 0 means it was never stored. A write is accepted
only when it was computed from the newest revision (see `libs/db/store.py`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

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
from libs.domain.traffic import BY_INSTANCES, SHARED_GATEWAY

PUBLIC_GROUP = "public"


@dataclass(frozen=True)
class Resources:
    """What an instance asks for or a node offers. CPU in thousandths of a core, sizes in MiB."""

    cpu_milli: int = 0
    memory_mib: int = 0
    disk_mib: int = 0
    gpus: int = 0


@dataclass(frozen=True)
class Gpu:
    """One device as NVML tells it."""

    uuid: str
    index: int
    model: str
    memory_mib: int
    healthy: bool = True
    why: str = ""


@dataclass(frozen=True)
class Service:
    """One service. Its service.json lives in the `ServiceVersion` numbered `version`."""

    name: str
    id: str
    version: int
    wanted: int
    token: str
    created_at: datetime
    updated_at: datetime
    state: ServiceState = ServiceState.CREATING
    why: str = ""
    stopped: bool = False
    deleting: bool = False
    resource_group: str = PUBLIC_GROUP
    labels: Mapping[str, str] = field(default_factory=dict)
    traceparent: str = ""
    idempotency_key: str = ""
    # Instances created before a restart was asked for are replaced.
    restarted_at: datetime | None = None
    # The last version that all instances ran; what is lost while an update is held up is replaced by it.
    stable_version: int = 0
    safety_lock: SafetyLock = SafetyLock.NONE
    # How many changes were asked for; what the reconciler writes by itself is none.
    edits: int = 1
    # Since when it has not been running, and the last warning (days before its deletion) given of that.
    idle_since: datetime | None = None
    idle_warned_days: int = 0
    # Of the version in force: the group it is a member of, empty for none, and the gateway it is on.
    group: str = ""
    gateway: str = SHARED_GATEWAY
    # What it takes of its group's requests: its weight is 0 to 1000, or BY_INSTANCES.
    traffic_state: TrafficState = TrafficState.STANDALONE
    weight: int = BY_INSTANCES
    # Instances that go first where there are too many, in this order.
    leave_first: tuple[str, ...] = ()
    revision: int = 0


@dataclass(frozen=True)
class Rollout:
    """The newest update of a service: from one version to another. Replaced by the next one.

    `partition` and `batch_size` are numbers or percents, empty where not asked for; `interval_s` is the pause
    between batches, None for one that a user ends. `released` counts the instances that the batches so far
    let go; `stepped_at` is when the newest batch was done. `because` is the failure that the service went
    back from by itself; empty for an update that somebody asked for.
    """

    service: str
    version: int
    from_version: int
    started_at: datetime
    phase: RolloutPhase = RolloutPhase.PENDING
    why: str = ""
    partition: str = ""
    batch_size: str = ""
    interval_s: int | None = None
    paused: bool = False
    promoted: bool = False
    released: int = 0
    stepped_at: datetime | None = None
    finished_at: datetime | None = None
    because: str = ""
    # The policies that it took the place of.
    policies_before: tuple[PolicyBefore, ...] = ()
    revision: int = 0


@dataclass(frozen=True)
class ServiceVersion:
    """One numbered service.json of a service: canonical JSON text. It stays but for a rotated token."""

    service: str
    number: int
    spec_json: str
    created_at: datetime
    why: str = ""
    revision: int = 0


@dataclass(frozen=True)
class Instance:
    """One running copy of a service version, placed on at most one node."""

    id: str
    service: str
    version: int
    created_at: datetime
    state: InstanceState = InstanceState.PENDING
    why: str = ""
    ready: bool = False
    node: str = ""
    # Grows with each placement; reports about an older placement are ignored.
    epoch: int = 0
    address: str = ""
    port: int = 0
    # The host port handed out at placement (process runtime); 0 when the runtime chooses.
    host_port: int = 0
    restarts: int = 0
    gpu_uuids: tuple[str, ...] = ()
    resources: Resources = Resources()
    last_exit: str = ""
    started_at: datetime | None = None
    ready_at: datetime | None = None
    # When it left traffic, on its way out; and whether its agent was told to stop it.
    drain_started_at: datetime | None = None
    stopping: bool = False
    traceparent: str = ""
    # Out of traffic and kept: for inspection (may come back), or for good (another takes its place).
    isolated: bool = False
    detached: bool = False
    # Why another must take its place, when a user asked for that.
    replace_why: str = ""
    # A soft restart was asked for: it leaves traffic, and once unrouted `run` grows.
    restart_asked_at: datetime | None = None
    run: int = 0
    # What is wrong with it, one word of `libs/domain/causes.py`.
    cause: str = ""
    # The version whose document its agent was given, where `version` took it over as it was; 0 for `version`.
    made_from: int = 0
    # Since when it holds its resources, and what its node was when it was placed there: its resource group,
    # the pool ("dedicated", "public", "spot"), the type of machine, and what that cost an hour.
    placed_at: datetime | None = None
    resource_group: str = ""
    pool: str = ""
    instance_type: str = ""
    price: float = 0.0
    # One of too many: what is under way in it may end by itself, however long that takes.
    leaves_patiently: bool = False
    # How long each phase of its start took.
    phases: tuple[StartPhase, ...] = ()
    revision: int = 0

    @property
    def document_version(self) -> int:
        """The version whose document its agent has."""
        return self.made_from or self.version

    @property
    def serves(self) -> bool:
        """Whether it does its work: with a port it takes traffic, without one it takes its work elsewhere."""
        held = self.isolated or self.detached or self.restart_asked_at is not None
        return self.ready and not held

    @property
    def routed(self) -> bool:
        """Whether gateways send requests to it."""
        return self.serves and self.port > 0


@dataclass(frozen=True)
class Node:
    """One host with an agent."""

    name: str
    created_at: datetime
    resource_group: str = PUBLIC_GROUP
    state: NodeState = NodeState.READY
    why: str = ""
    schedulable: bool = True
    draining: bool = False
    address: str = ""
    zone: str = ""
    runtime: Runtime = Runtime.PROCESS
    capacity: Resources = Resources()
    gpus: tuple[Gpu, ...] = ()
    gpu_note: str = ""
    gpu_driver_version: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    images: tuple[str, ...] = ()
    first_port: int = 0
    last_port: int = 0
    busy_ports: tuple[int, ...] = ()
    # Versions of CUDA that instances can have mounted.
    cuda_versions: tuple[str, ...] = ()
    # The newest epoch spoken to its agent.
    epoch: int = 0
    last_seen: datetime | None = None
    agent_version: str = ""
    # When its owner takes it away; None while nothing is announced.
    reclaim_at: datetime | None = None
    reclaim_why: str = ""
    # Whether the node itself said so, and takes it back by saying nothing of it any more.
    reclaim_by_agent: bool = False
    revision: int = 0


@dataclass(frozen=True)
class ResourceGroup:
    """A set of nodes. A node is in exactly one."""

    name: str
    kind: str
    created_at: datetime
    revision: int = 0


@dataclass(frozen=True)
class GpuFence:
    """No instance is placed on this GPU, until the fence is lifted.

    A lifted one is kept: `count` is how often the trouble had been seen by then, so that only a new
    one counts.
    """

    node: str
    uuid: str
    cause: str
    why: str
    at: datetime
    count: int = 0
    lifted_at: datetime | None = None
    revision: int = 0


@dataclass(frozen=True)
class Token:
    """A credential, by the SHA-256 (hex) of its secret."""

    id: str
    name: str
    role: TokenRole
    secret_sha256: str
    created_at: datetime
    revision: int = 0


@dataclass(frozen=True)
class Event:
    """Something that happened, with its sentence. `id` is given by the store, growing.

    `details` are its numbers and names, for programs.
    """

    at: datetime
    kind: EventKind
    reason: str
    why: str
    subject_kind: str
    subject: str
    service: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    id: int = 0
