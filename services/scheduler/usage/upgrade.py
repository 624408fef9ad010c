"""Instances from before usage was counted: their stays begin with the start of this release. Pure."""

from dataclasses import replace
from datetime import datetime

from libs.db.changes import Changes
from libs.domain.records import Instance
from libs.domain.states import InstanceState
from services.scheduler.pool.machine import machine_of, pool_of
from services.scheduler.world import World


def counted_from(world: World, now: datetime) -> Changes:
    """Every instance that holds a node, and of which nobody knows since when, holds it from `now`."""
    uncounted = (
        each
        for each in world.instances.values()
        if each.node and each.placed_at is None and each.state is not InstanceState.LOST
    )
    return Changes(put=tuple(_counted(world, each, now) for each in uncounted))


def _counted(world: World, instance: Instance, now: datetime) -> Instance:
    node = world.nodes.get(instance.node)
    if node is None:
        return replace(instance, placed_at=now)
    machine = machine_of(node.labels)
    return replace(
        instance,
        placed_at=now,
        resource_group=node.resource_group,
        pool=pool_of(node, world.resource_groups.get(node.resource_group)),
        instance_type=machine.instance_type,
        price=machine.price or 0.0,
    )
