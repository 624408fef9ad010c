"""What is written together, and what is read at once."""

from collections.abc import Iterator
from dataclasses import dataclass, fields

from libs.domain.assets import Dataset, ImagePull, Secret
from libs.domain.records import (
    Event,
    GpuFence,
    Instance,
    Node,
    ResourceGroup,
    Rollout,
    Service,
    ServiceVersion,
    Token,
)
from libs.domain.scaling import Autoscaler, Cronscaler, Usage
from libs.domain.traffic import AccessToken, Gateway, Group, Mirror, Ramp, Registry

Record = (
    Service
    | ServiceVersion
    | Instance
    | Node
    | ResourceGroup
    | Token
    | Rollout
    | GpuFence
    | Secret
    | Dataset
    | ImagePull
    | Group
    | Ramp
    | Mirror
    | Gateway
    | AccessToken
    | Registry
    | Autoscaler
    | Cronscaler
)


@dataclass(frozen=True)
class Changes:
    """One unit of work: all of it is written, or none.

    A record with revision 0 is new; any other must be computed from the newest revision stored. Deletes are
    carried out before puts.
    """

    put: tuple[Record, ...] = ()
    delete: tuple[Record, ...] = ()
    events: tuple[Event, ...] = ()
    usage: tuple[Usage, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.put or self.delete or self.events or self.usage)


@dataclass(frozen=True)
class Contents:
    """Everything stored but events and usage, as of one moment. Each tuple is in the order of its keys."""

    services: tuple[Service, ...] = ()
    versions: tuple[ServiceVersion, ...] = ()
    instances: tuple[Instance, ...] = ()
    nodes: tuple[Node, ...] = ()
    resource_groups: tuple[ResourceGroup, ...] = ()
    tokens: tuple[Token, ...] = ()
    rollouts: tuple[Rollout, ...] = ()
    gpu_fences: tuple[GpuFence, ...] = ()
    secrets: tuple[Secret, ...] = ()
    datasets: tuple[Dataset, ...] = ()
    image_pulls: tuple[ImagePull, ...] = ()
    groups: tuple[Group, ...] = ()
    ramps: tuple[Ramp, ...] = ()
    mirrors: tuple[Mirror, ...] = ()
    gateways: tuple[Gateway, ...] = ()
    access_tokens: tuple[AccessToken, ...] = ()
    registries: tuple[Registry, ...] = ()
    autoscalers: tuple[Autoscaler, ...] = ()
    cronscalers: tuple[Cronscaler, ...] = ()

    def records(self) -> Iterator[Record]:
        """Every record, kind by kind."""
        for kind in fields(self):
            yield from getattr(self, kind.name)
