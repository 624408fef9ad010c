"""What the client library returns: plain frozen values. Sizes in MiB, CPU in thousandths of a core."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from libs.domain.records import Gpu, Resources
from libs.domain.states import EventKind, InstanceState, NodeState, Runtime, ServiceState


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


@dataclass(frozen=True)
class Written:
    """A service after a write, and what was accepted without effect or looks like a typing error."""

    service: Service
    warnings: tuple[str, ...] = ()


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
    "Draining",
    "Event",
    "EventKind",
    "Gpu",
    "Instance",
    "InstanceState",
    "NewToken",
    "Node",
    "NodeState",
    "Prediction",
    "ResourceGroup",
    "Resources",
    "Runtime",
    "Service",
    "ServiceChange",
    "ServiceState",
    "ServiceVersion",
    "Token",
    "Written",
]
