"""A group with all that its shares depend on, read from the picture."""

from collections.abc import Iterable

from libs.domain.records import Service
from libs.domain.states import RampPhase
from libs.domain.traffic import Group, Ramp
from services.scheduler.groups.shares import Share, group_shares, group_weights, told_weights
from services.scheduler.world import World


def running_ramp(world: World, group: str) -> Ramp | None:
    """The ramp that is under way in a group; there is one at most."""
    ramps = (world.ramps.get(member.name) for member in world.members_of(group))
    return next((r for r in ramps if r and r.group == group and r.phase is RampPhase.RUNNING), None)


def newest_ramp(world: World, group: str) -> Ramp | None:
    """The one that was started last, also a finished one."""
    ramps = (world.ramps.get(member.name) for member in world.members_of(group))
    return max((r for r in ramps if r and r.group == group), key=lambda r: r.started_at, default=None)


def ready_of(world: World, service: str) -> int:
    """How many instances gateways send requests to."""
    return sum(instance.routed for instance in world.instances_of(service))


def shares_of(world: World, group: Group) -> tuple[Share, ...]:
    """Of every member, by name."""
    members = tuple(world.members_of(group.name))
    return group_shares(group, members, _ready(world, members), running_ramp(world, group.name))


def weights_of(world: World, group: Group, ramp: Ramp | None) -> dict[str, int]:
    """Of the members that take the group's requests, as they are with this ramp or without one."""
    members = tuple(world.members_of(group.name))
    return group_weights(group, members, _ready(world, members), ramp)


def weights_now(world: World, group: Group) -> dict[str, int]:
    """What gateways are told of the members that take the group's requests."""
    weights = weights_of(world, group, running_ramp(world, group.name))
    return told_weights(weights, {name: ready_of(world, name) for name in weights})


def _ready(world: World, members: Iterable[Service]) -> dict[str, int]:
    return {member.name: ready_of(world, member.name) for member in members}
