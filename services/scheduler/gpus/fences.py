"""Which GPUs are fenced, from what their agents say and what operators ask for. Pure.

A fence remembers how often its GPU had failed, also once it is lifted: only what happens after that fences
the GPU anew. A GPU that cannot be reached is fenced as long as that is so.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from libs.db.changes import Changes
from libs.domain.errors import FailedPrecondition, NotFound
from libs.domain.gpu_troubles import TroubleKind
from libs.domain.records import Event, GpuFence, Node
from libs.domain.states import EventKind
from services.scheduler.gpus.troubles import Trouble
from services.scheduler.world import World

BY_HAND = "ByHand"
_DONE = "nothing is placed on it any more and what is on it is replaced"

Fences = Mapping[tuple[str, str], GpuFence]


def active_fence(fences: Fences, node: str, uuid: str) -> GpuFence | None:
    """The fence around a GPU; None when there is none, or when it was lifted."""
    fence = fences.get((node, uuid))
    return fence if fence is not None and fence.lifted_at is None else None


def judged(fences: Fences, node: str, troubles: Iterable[Trouble], now: datetime) -> Changes:
    """The fences that change by what an agent says, and an event for each new one.

    Safe to repeat: what changed nothing since the last time changes nothing.
    """
    by_gpu: defaultdict[str, list[Trouble]] = defaultdict(list)
    for trouble in troubles:
        if trouble.fences:
            by_gpu[trouble.uuid].append(trouble)
    known = {uuid for name, uuid in fences if name == node}
    put: list[GpuFence] = []
    events: list[Event] = []
    for uuid in sorted(by_gpu.keys() | known):
        before = fences.get((node, uuid))
        after = _judged(before, node, uuid, by_gpu[uuid], now)
        if after is None or after == before:
            continue
        put.append(after)
        if after.lifted_at is None and (before is None or before.lifted_at is not None):
            events.append(_event(after, "GpuFenced", f"{after.why}; {_DONE}", now, EventKind.WARNING))
    return Changes(put=tuple(put), events=tuple(events))


def fenced_by_hand(world: World, node: str, uuid: str, why: str, now: datetime) -> Changes:
    """Raises NotFound, and FailedPrecondition when it is fenced already."""
    _gpu_of(world.node(node), uuid, world.gpu_fences)
    before = world.gpu_fences.get((node, uuid))
    if before is not None and before.lifted_at is None:
        raise FailedPrecondition(f"GPU {uuid} of node {node!r} is fenced already: {before.why}")
    fence = _anew(before, GpuFence(node, uuid, BY_HAND, why or "fenced by hand", now))
    event = _event(fence, "GpuFenced", f"{fence.why}; {_DONE}", now, EventKind.WARNING)
    return Changes(put=(fence,), events=(event,))


def lifted(world: World, node: str, uuid: str, now: datetime) -> Changes:
    """Raises NotFound, and FailedPrecondition when there is no fence to lift."""
    world.node(node)
    fence = active_fence(world.gpu_fences, node, uuid)
    if fence is None:
        _gpu_of(world.node(node), uuid, world.gpu_fences)
        raise FailedPrecondition(f"GPU {uuid} of node {node!r} is not fenced")
    why = f"instances may be placed on it again; it was fenced for: {fence.why}"
    event = _event(fence, "GpuFenceLifted", why, now, EventKind.NORMAL)
    return Changes(put=(replace(fence, lifted_at=now),), events=(event,))


def _judged(
    before: GpuFence | None, node: str, uuid: str, troubles: list[Trouble], now: datetime
) -> GpuFence | None:
    count = sum(trouble.count for trouble in troubles if trouble.kind is not TroubleKind.LOST)
    lost = any(trouble.kind is TroubleKind.LOST for trouble in troubles)
    if before is None and not troubles:
        return None
    if before is not None and before.lifted_at is None:
        return replace(before, count=count)
    if not lost and before is not None and count <= before.count:
        # Fewer than before: the agent or the driver counts from nought again.
        return replace(before, count=count)
    new = [each for each in troubles if before is None or (each.at or now) > before.at] or troubles
    named = _named_after(new)
    return _anew(before, GpuFence(node, uuid, named.cause, named.what, now, count))


def _named_after(troubles: list[Trouble]) -> Trouble:
    """An error code says most; of two, the one that came last."""
    coded = [trouble for trouble in troubles if trouble.kind is TroubleKind.XID] or troubles
    return max(coded, key=lambda trouble: trouble.at.timestamp() if trouble.at else 0.0)


def _anew(before: GpuFence | None, fence: GpuFence) -> GpuFence:
    if before is None:
        return fence
    return replace(fence, count=max(fence.count, before.count), revision=before.revision)


def _gpu_of(node: Node, uuid: str, fences: Fences) -> None:
    if all(gpu.uuid != uuid for gpu in node.gpus) and (node.name, uuid) not in fences:
        raise NotFound(f"node {node.name!r} has no GPU {uuid!r}")


def _event(fence: GpuFence, reason: str, why: str, now: datetime, kind: EventKind) -> Event:
    return Event(now, kind, reason, f"GPU {fence.uuid}: {why}", "node", fence.node)
