"""Nodes, their GPUs, the groups they are in and the images pulled to them, as plain frozen values.

They are all in `easel_sdk.types` too. Sizes in MiB, CPU in thousandths of a core.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from easel_sdk.instance_types import Progress
from libs.domain.records import Resources
from libs.domain.states import NodeState, Runtime


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
    reclaim_why: str = ""


@dataclass(frozen=True)
class Draining:
    """A node being emptied, and how many instances are leaving it."""

    node: Node
    moving: int


@dataclass(frozen=True)
class Going(Draining):
    """A node that is taken away: how many of those that leave it would find `room` elsewhere now.

    Those that are `hurried` leave at once, since their requests need longer to end than is left.
    """

    room: int = 0
    hurried: int = 0


@dataclass(frozen=True)
class ResourceGroup:
    name: str
    kind: str
    nodes: int
    capacity: Resources
    allocated: Resources
    created_at: datetime | None


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
