"""What the GPU troubles of a heartbeat change: fences, and events about errors that are only noted."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from libs.db.changes import Changes
from libs.domain.records import Event
from libs.domain.states import EventKind
from services.scheduler.gpus.fences import judged
from services.scheduler.gpus.troubles import Trouble
from services.scheduler.world import World

# By node, GPU and cause: how often it had happened, and when last, by its agent's clock.
Seen = Mapping[tuple[str, str, str], tuple[int, datetime | None]]


class GpuWatch:
    """Remembers which errors were told of, since agents tell all of them each time."""

    def __init__(self, since: datetime) -> None:
        self._since = since
        self._seen: dict[tuple[str, str, str], tuple[int, datetime | None]] = {}

    def changes(self, world: World, node: str, troubles: Iterable[Trouble], now: datetime) -> Changes:
        """What must be stored. Remembers nothing: call `stored` once it is."""
        troubles = tuple(troubles)
        fencing = judged(world.gpu_fences, node, troubles, now)
        notes = noted(world, node, troubles, self._seen, self._since, now)
        return Changes(put=fencing.put, events=(*fencing.events, *notes))

    def stored(self, node: str, troubles: Iterable[Trouble]) -> None:
        self._seen |= {(node, each.uuid, each.cause): (each.count, each.at) for each in troubles}


def noted(
    world: World, node: str, troubles: Iterable[Trouble], seen: Seen, since: datetime, now: datetime
) -> tuple[Event, ...]:
    """Events about errors that fence nothing and happened again: on the instances that use the GPU, or on
    the node where none does. What happened before `since` was told of by an earlier scheduler. Pure."""
    events: list[Event] = []
    for trouble in troubles:
        before = seen.get((node, trouble.uuid, trouble.cause))
        told = before == (trouble.count, trouble.at) if before else (trouble.at or now) < since
        if not trouble.fences and not told:
            events += _notes(world, node, trouble, now)
    return tuple(events)


def _notes(world: World, node: str, trouble: Trouble, now: datetime) -> list[Event]:
    why = f"GPU {trouble.uuid} of node {node}: {trouble.what}; the GPU stays in use"
    users = sorted(i.id for i in world.instances_on(node) if trouble.uuid in i.gpu_uuids)
    if not users:
        return [Event(now, EventKind.WARNING, "GpuError", why, "node", node)]
    return [
        Event(now, EventKind.WARNING, "GpuError", why, "instance", user, world.instances[user].service)
        for user in users
    ]
