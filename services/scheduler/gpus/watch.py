"""What the GPU troubles of a heartbeat change: fences, and events about errors that are only noted."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.db.changes import Changes
from libs.domain.records import Event
from libs.domain.states import EventKind
from services.scheduler.gpus.fences import judged
from services.scheduler.gpus.troubles import Trouble
from services.scheduler.world import World

# A program that fails again and again is told of once in this time.
QUIET_FOR = timedelta(minutes=1)


@dataclass(frozen=True)
class Said:
    """How often a trouble had happened when it was last told of, and when that was."""

    count: int
    at: datetime | None
    said_at: datetime


# By node, GPU and cause.
Seen = Mapping[tuple[str, str, str], Said]


class GpuWatch:
    """Remembers which errors were told of, since agents tell all of them each time."""

    def __init__(self, since: datetime) -> None:
        self._since = since
        self._seen: dict[tuple[str, str, str], Said] = {}

    def changes(self, world: World, node: str, troubles: Iterable[Trouble], now: datetime) -> Changes:
        """What must be stored. Remembers nothing: call `stored` once it is."""
        troubles = tuple(troubles)
        fencing = judged(world.gpu_fences, node, troubles, now)
        events = [
            event
            for trouble in news(node, troubles, self._seen, now)
            if not trouble.fences and (trouble.at or now) >= self._since
            for event in _notes(world, node, trouble, now)
        ]
        return Changes(put=fencing.put, events=(*fencing.events, *events))

    def stored(self, node: str, troubles: Iterable[Trouble], now: datetime) -> None:
        for each in news(node, troubles, self._seen, now):
            self._seen[node, each.uuid, each.cause] = Said(each.count, each.at, now)


def news(node: str, troubles: Iterable[Trouble], seen: Seen, now: datetime) -> tuple[Trouble, ...]:
    """The troubles that happened again since they were told of, which is a while ago. Pure."""
    return tuple(
        each
        for each in troubles
        if (said := seen.get((node, each.uuid, each.cause))) is None
        or ((said.count, said.at) != (each.count, each.at) and now - said.said_at >= QUIET_FOR)
    )


def _notes(world: World, node: str, trouble: Trouble, now: datetime) -> list[Event]:
    """On the instances that use the GPU, or on the node where none does."""
    why = f"GPU {trouble.uuid} of node {node}: {trouble.what}; the GPU stays in use"
    users = sorted(i.id for i in world.instances_on(node) if trouble.uuid in i.gpu_uuids)
    if not users:
        return [Event(now, EventKind.WARNING, "GpuError", why, "node", node)]
    return [
        Event(now, EventKind.WARNING, "GpuError", why, "instance", user, world.instances[user].service)
        for user in users
    ]
