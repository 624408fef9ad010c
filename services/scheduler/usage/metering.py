"""What instances have used: a row for each stay of an instance on a node, written when the stay ends. Pure.

A stay is open while its instance is stored as placed; its end is written in the commit that ends it. So each
moment of each stay is counted once, whatever is started anew in between.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from libs.db.changes import Changes
from libs.domain.errors import InvalidSpec, NotFound
from libs.domain.records import Instance
from libs.domain.scaling import Usage
from libs.domain.states import InstanceState
from services.scheduler.facts import facts_of
from services.scheduler.world import World


def with_usage(world: World, changes: Changes, now: datetime) -> Changes:
    """The same changes, with a row for each stay that they end."""
    ended = tuple(_ended(world, changes, now))
    return replace(changes, usage=(*changes.usage, *ended)) if ended else changes


def open_usage(world: World, now: datetime, service: str = "") -> Iterator[Usage]:
    """The stays that have not ended, as if they ended `now`."""
    instances = world.instances_of(service) if service else world.instances.values()
    for instance in instances:
        if _stays(instance):
            yield _row(world, instance, now)


def _ended(world: World, changes: Changes, now: datetime) -> Iterator[Usage]:
    after = {record.id: record for record in changes.put if isinstance(record, Instance)}
    gone = {record.id for record in changes.delete if isinstance(record, Instance)} - after.keys()
    for instance in (*after, *gone):
        before = world.instances.get(instance)
        if before is None or not _stays(before):
            continue
        still = after.get(instance)
        if still is None or not _stays(still) or still.placed_at != before.placed_at:
            row = _row(world, before, now)
            if row.end > row.begin:
                yield row


def _stays(instance: Instance) -> bool:
    """Whether it holds resources of a node. What is lost is the node's no more."""
    return instance.placed_at is not None and instance.state is not InstanceState.LOST


def _row(world: World, instance: Instance, end: datetime) -> Usage:
    begin = instance.placed_at or end
    return Usage(
        instance=instance.id,
        service=instance.service,
        workspace=_workspace(world, instance),
        resource_group=instance.resource_group,
        pool=instance.pool,
        instance_type=instance.instance_type,
        node=instance.node,
        begin=begin,
        # Clocks are set back now and then.
        end=max(begin, end),
        cpu_milli=instance.resources.cpu_milli,
        memory_mib=instance.resources.memory_mib,
        gpus=instance.resources.gpus,
        price=instance.price,
    )


def _workspace(world: World, instance: Instance) -> str:
    try:
        return facts_of(world.version(instance.service, instance.version).spec_json).workspace
    except (InvalidSpec, NotFound):
        return ""
