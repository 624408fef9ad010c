"""What placement is asked and what it answers."""

from dataclasses import dataclass
from enum import StrEnum

from libs.domain.records import PUBLIC_GROUP, Instance, Resources


class Spread(StrEnum):
    """The words of `metadata.scheduling.spread.policy`."""

    HOST = "host"
    ZONE = "zone"
    DEFAULT = "default"


class Spot(StrEnum):
    """Whether spot nodes are asked for: none of them, only them, or whatever there is."""

    NONE = "none"
    ONLY = "only"
    ANY = "any"


@dataclass(frozen=True)
class Ask:
    """One instance that wants a node. CPU in thousandths of a core, sizes in MiB.

    `port` is the port that the service declares, 0 for none. `gpu_model` is empty for any model, or words
    that the device's own name must all contain ("A100", "a100 80gb"). `cuda` is a version that the node can
    mount, `gpu_driver` one of its driver or the first parts of it; both are empty for any. `instance_type` is
    empty for any type; `spot_limit` is the highest price an hour of a spot node. `among` is what sentences
    call these nodes, the resource group where it is empty.
    """

    instance: str
    service: str
    resource_group: str = PUBLIC_GROUP
    cpu_milli: int = 0
    memory_mib: int = 0
    disk_mib: int = 0
    gpus: int = 0
    gpu_model: str = ""
    port: int = 0
    spread: str = Spread.DEFAULT
    image: str = ""
    cuda: str = ""
    gpu_driver: str = ""
    instance_type: str = ""
    spot: Spot = Spot.NONE
    spot_limit: float = 0.0
    among: str = ""


@dataclass(frozen=True)
class Placement:
    """Where an instance goes and what it is given there. `host_port` is 0 where the runtime chooses."""

    ask: Ask
    node: str
    gpu_uuids: tuple[str, ...]
    host_port: int
    why: str


@dataclass(frozen=True)
class Unplaced:
    """No node can take the instance now. `reasons` has one sentence per group of nodes."""

    ask: Ask
    reasons: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Held:
    """What one instance keeps from others on its node, until it is released.

    `host_port` is what it was given, `listens_on` what its agent says: one that was placed where the runtime
    chooses, and found by an agent that runs processes, has only the second.
    """

    instance: str
    service: str
    node: str
    resources: Resources
    gpu_uuids: tuple[str, ...] = ()
    host_port: int = 0
    listens_on: int = 0


def held_by_placement(placement: Placement) -> Held:
    ask = placement.ask
    wanted = Resources(ask.cpu_milli, ask.memory_mib, ask.disk_mib, ask.gpus)
    return Held(ask.instance, ask.service, placement.node, wanted, placement.gpu_uuids, placement.host_port)


def held_by_instance(instance: Instance) -> Held:
    return Held(
        instance.id,
        instance.service,
        instance.node,
        instance.resources,
        instance.gpu_uuids,
        instance.host_port,
        instance.port,
    )
