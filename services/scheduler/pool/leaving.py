"""What becomes of the instances of a node that goes away: which have room elsewhere, and which have time."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from libs.domain.errors import InvalidSpec
from libs.domain.records import Instance
from libs.domain.states import LIVE_STATES, InstanceState
from libs.spec.service import DEFAULT_GRACE_SECONDS
from services.scheduler.facts import Facts, facts_of
from services.scheduler.reconcile.placing import Crowd, Placer
from services.scheduler.rollout.obsolete import LAST_CALL
from services.scheduler.world import World


@dataclass(frozen=True)
class Leaving:
    """Of the instances that have to leave, how many would find room elsewhere, and how many leave at once."""

    moving: int
    room: int
    hurried: int


def leaving(world: World, placer: Placer, node: str, at: datetime, now: datetime) -> Leaving:
    """What an announcement that the node is gone `at` that time means for its instances. Changes nothing.

    Raises NotFound.
    """
    going = to_leave(world, node)
    late = [each for each in going if now + time_to_leave(world, each) >= at]
    return Leaving(len(going), _room(world, placer, node, at, going), len(late))


def to_leave(world: World, node: str) -> list[Instance]:
    """The instances that a node which goes away has to be rid of."""
    return [each for each in world.instances_on(node) if each.state in LIVE_STATES]


def time_to_leave(world: World, instance: Instance) -> timedelta:
    """How long before its node goes an instance leaves at the latest, so that no request is cut."""
    try:
        return facts_of(world.version(instance.service, instance.version).spec_json).grace + LAST_CALL
    except InvalidSpec:  # stored by another release
        return timedelta(seconds=DEFAULT_GRACE_SECONDS) + LAST_CALL


def _room(world: World, placer: Placer, node: str, at: datetime, going: list[Instance]) -> int:
    """Successors are put on trial as though the node were to go already."""
    known = world.node(node)
    placer.snapshot.upsert_node(replace(known, reclaim_at=at))
    try:
        return placer.room_for(_successors(world, going))
    finally:
        placer.snapshot.upsert_node(known)


def _successors(world: World, going: list[Instance]) -> Iterator[tuple[Instance, Facts, Crowd]]:
    """One that is not placed for each of them, beside those that stay."""
    leave = {each.id for each in going}
    for each in going:
        try:
            facts = facts_of(world.version(each.service, each.version).spec_json)
        except InvalidSpec:
            continue
        service = world.services.get(each.service)
        stay = tuple(i for i in world.instances_of(each.service) if i.id not in leave)
        fresh = replace(each, id=f"{each.id}, on trial", node="", state=InstanceState.PENDING)
        yield fresh, facts, Crowd(service.wanted if service else 0, stay)
