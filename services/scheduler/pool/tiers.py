"""The ordered sets of nodes that an instance may go to: own ones, public ones, types of machines. Pure.

The first tier that has room is taken. Who asks for nothing has one tier, the public nodes; who names a
resource group has that group.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from libs.domain.records import PUBLIC_GROUP, Node
from libs.spec import ServiceSpec
from libs.spec.cloud import OWN_NODES, InstanceType
from libs.spec.quantity import CountOrPercent
from services.scheduler.pool.machine import machine_of


@dataclass(frozen=True)
class Tier:
    """Nodes of one resource group, all of them or those of one type.

    `own` takes every node of the group, whatever it costs. Other tiers take no spot node, or with
    `spot_limit` only spot nodes up to that price an hour. `cap` is how many of the service's instances it may
    have.
    """

    resource_group: str
    own: bool = False
    instance_type: str = ""
    spot_limit: float | None = None
    cap: CountOrPercent | None = None

    @property
    def name(self) -> str:
        """As sentences call it."""
        if self.own:
            return f"own nodes ({self.resource_group})"
        if self.spot_limit is None:
            return self.instance_type or "public nodes"
        return f"spot {self.instance_type} up to {self.spot_limit:g}"

    @property
    def plain(self) -> bool:
        """Whether it is the whole group, so that the group's name says it."""
        return not self.instance_type and self.spot_limit is None and self.cap is None

    def takes(self, node: Node) -> bool:
        """Whether the node is one of these; whether it has room is not asked."""
        if node.resource_group != self.resource_group:
            return False
        machine = machine_of(node.labels)
        if self.instance_type and machine.instance_type != self.instance_type:
            return False
        if self.own or not machine.spot:
            return self.own or self.spot_limit is None
        return self.spot_limit is not None and machine.price is not None and machine.price <= self.spot_limit


def tiers_of(spec: ServiceSpec) -> tuple[Tier, ...]:
    """In the order in which they are tried; never empty."""
    metadata, computing = spec.metadata, spec.cloud.computing
    group = metadata.resource
    own = Tier(group, own=True) if group and group != PUBLIC_GROUP else Tier(PUBLIC_GROUP)
    rented = computing.instances
    if not rented and computing.instance_type:
        rented = (InstanceType(type=computing.instance_type),)
    tiers = [_tier(each, own) for each in rented]
    if not any(each.type == OWN_NODES for each in rented) and (group or not rented):
        tiers.insert(0, own)
    if group and metadata.resource_burstable and not rented:
        tiers.append(Tier(PUBLIC_GROUP))
    return tuple(dict.fromkeys(tiers))


def _tier(each: InstanceType, own: Tier) -> Tier:
    if each.type == OWN_NODES:
        return replace(own, cap=each.capacity)
    return Tier(PUBLIC_GROUP, instance_type=each.type, spot_limit=each.spot_price_limit, cap=each.capacity)


@lru_cache(maxsize=4096)
def in_force(tiers: tuple[Tier, ...], typed: bool) -> tuple[Tier, ...]:
    """The tiers where public nodes say what types they are (`typed`), or where none does.

    Where none does, every type that is not spot stands for the public nodes: who brings a service.json from
    rented machines to nodes without labels is served.
    """
    if typed:
        return tiers
    return tuple(dict.fromkeys(_any_type(tier) for tier in tiers))


def _any_type(tier: Tier) -> Tier:
    of_a_type = tier.instance_type and tier.spot_limit is None
    return Tier(tier.resource_group) if of_a_type else tier


def rank(tiers: tuple[Tier, ...], node: Node | None) -> int:
    """The place of the first tier that the node belongs to; behind the last one where it belongs to none."""
    if node is None:
        return len(tiers)
    return next((place for place, tier in enumerate(tiers) if tier.takes(node)), len(tiers))


def used_by_tier(tiers: tuple[Tier, ...], nodes: Iterable[Node | None], wanted: int) -> list[int]:
    """How many of the instances on these nodes each tier has: the first that takes the node and is not full.

    The order of the instances changes nothing.
    """
    used = [0] * len(tiers)
    taking = (tuple(n for n, tier in enumerate(tiers) if node and tier.takes(node)) for node in nodes)
    for places in sorted(taking, key=lambda each: (len(each), each)):
        for place in places:
            if place == places[-1] or not used_up(tiers[place], used[place], wanted):
                used[place] += 1
                break
    return used


def used_up(tier: Tier, used: int, wanted: int) -> str:
    """Why the tier takes no more of a service that has so many there; empty where it does."""
    if tier.cap is None or used < tier.cap.of(wanted):
        return ""
    instances = "instance uses" if used == 1 else "instances use"
    return f"{tier.name}: its capacity of {tier.cap} is used up ({used} {instances} it)"
