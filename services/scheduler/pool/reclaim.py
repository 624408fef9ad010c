"""When a node is taken away by its owner: who may announce that, and when it is taken back. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from libs.db.changes import Changes
from libs.domain.errors import FailedPrecondition, InvalidRequest, InvalidSpec
from libs.domain.records import Event, Instance, Node
from libs.domain.spans import span_text
from libs.domain.states import LIVE_STATES, EventKind, NodeState
from libs.spec.refusal import Words
from services.scheduler.facts import facts_of
from services.scheduler.placement.words import counted
from services.scheduler.pool.leaving import time_to_leave, to_leave
from services.scheduler.pool.machine import machine_of
from services.scheduler.rollout.obsolete import reclaimed
from services.scheduler.world import World

# A spot node is not taken away from an instance before it had this long there.
PROTECTED_FOR = timedelta(hours=1)
LONGEST_NOTICE = timedelta(days=30)


@dataclass(frozen=True)
class Announcement:
    """That a node goes away after `notice`, or that it stays after all (`cancel`)."""

    node: str
    notice: timedelta = timedelta()
    why: str = ""
    force: bool = False
    cancel: bool = False


def asked(world: World, said: Announcement, now: datetime) -> Changes:
    """An announcement that there is already is replaced.

    Raises NotFound and InvalidRequest; FailedPrecondition, unless forced, while an instance on a spot node is
    protected, and where another node were gone before its instances have ended their requests; also where
    there is nothing to take back.
    """
    node = world.node(said.node)
    if said.cancel:
        return _cancelled(node, now)
    if not timedelta() <= said.notice <= LONGEST_NOTICE:
        raise InvalidRequest("notice", Words(span_text(said.notice)), "0 seconds to 30 days")
    at = now + said.notice
    if not said.force:
        (_refuse_protected if machine_of(node.labels).spot else _refuse_hurry)(world, node, at, now)
    why = said.why or "announced by hand"
    after = replace(node, reclaim_at=at, reclaim_why=why, reclaim_by_agent=False)
    return Changes(put=(after,), events=(_event(after, "NodeReclaimed", reclaimed(after), now),))


def _cancelled(node: Node, now: datetime) -> Changes:
    if node.reclaim_at is None:
        raise FailedPrecondition(f"nothing is announced of node {node.name!r}; it stays")
    return Changes(put=(_staying(node),), events=(_stays(node, "taken back by hand", now),))


def told(before: Node, at: datetime | None, why: str) -> Node:
    """The node after its agent has said when it goes away, None for never.

    What was announced by hand for an earlier time holds, whatever the agent says.
    """
    if at is None:
        return _staying(before) if before.reclaim_by_agent else before
    by_hand = before.reclaim_at is not None and not before.reclaim_by_agent
    if by_hand and before.reclaim_at is not None and before.reclaim_at <= at:
        return before
    return replace(before, reclaim_at=at, reclaim_why=why or "its node says so", reclaim_by_agent=True)


def back(known: Node, now: datetime) -> Node:
    """The node as it comes back: what was announced of it is over when it was gone after that time."""
    went = known.state is not NodeState.READY and known.reclaim_at is not None and known.reclaim_at <= now
    return _staying(known) if went else known


def told_events(before: Node | None, after: Node, now: datetime) -> tuple[Event, ...]:
    """What is said of an announcement that came or went."""
    at = before.reclaim_at if before is not None else None
    if after.reclaim_at == at:
        return ()
    if after.reclaim_at is not None:
        return (_event(after, "NodeReclaimed", reclaimed(after), now),)
    return (_stays(after, "nothing is announced any more", now),)


def _refuse_hurry(world: World, node: Node, at: datetime, now: datetime) -> None:
    going = to_leave(world, node.name)
    longest = max((time_to_leave(world, each) for each in going), default=timedelta())
    if now + longest > at:
        raise FailedPrecondition(
            f"node {node.name!r} has {counted(len(going), 'instance')} that may need {span_text(longest)} to "
            "leave without cutting a request; give longer notice, or force it"
        )


def _refuse_protected(world: World, node: Node, at: datetime, now: datetime) -> None:
    protected = {i.id: until for i in world.instances_on(node.name) for until in _protected_until(world, i)}
    longest = max(protected, key=lambda each: (protected[each], each), default=None)
    if longest is not None and protected[longest] > at:
        raise FailedPrecondition(
            f"instance {longest} on node {node.name!r} is protected until {protected[longest]:%H:%M:%S} UTC, "
            "an hour after it was placed there; give longer notice, or force it"
        )


def _protected_until(world: World, instance: Instance) -> Iterator[datetime]:
    if instance.state not in LIVE_STATES or instance.placed_at is None:
        return
    try:
        protected = facts_of(world.version(instance.service, instance.version).spec_json).spot_protection
    except InvalidSpec:
        protected = True
    if protected:
        yield instance.placed_at + PROTECTED_FOR


def _staying(node: Node) -> Node:
    return replace(node, reclaim_at=None, reclaim_why="", reclaim_by_agent=False)


def _stays(node: Node, why: str, now: datetime) -> Event:
    return Event(now, EventKind.NORMAL, "NodeReclaimCancelled", f"it stays: {why}", "node", node.name)


def _event(node: Node, reason: str, why: str, now: datetime) -> Event:
    return Event(now, EventKind.WARNING, reason, why, "node", node.name)
