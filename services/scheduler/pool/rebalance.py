"""Which instances are to move to a better tier, and how many at once. Pure.

A move is a probe: a successor that is placed on a better tier before the old one leaves, so that traffic
never lacks. One at first, twice as many each time that all were placed, and one again when one was not.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import chain, repeat

from libs.domain.records import Instance, Node
from libs.domain.states import LIVE_STATES, TROUBLED_STATES, InstanceState
from services.scheduler.pool.machine import machine_of
from services.scheduler.pool.tiers import Tier, rank
from services.scheduler.rollout.obsolete import MOVES, moves_by_choice
from services.scheduler.rollout.replacing import surplus_order

MOST_PROBES = 64


@dataclass(frozen=True)
class Pace:
    """How many probes are made at once, and until when none is after one did not come up."""

    probes: int = 1
    rests_until: datetime | None = None

    def may_go(self, now: datetime) -> bool:
        return self.rests_until is None or now >= self.rests_until

    def after(self, tried: int, placed: int) -> "Pace":
        """The pace of the next time, by how many probes found room."""
        if placed < tried:
            return SLOWEST
        return Pace(min(MOST_PROBES, 2 * self.probes)) if placed == self.probes else self

    def failed(self, now: datetime, rest: timedelta) -> "Pace":
        """A probe did not come up where it was placed."""
        return Pace(1, now + rest)


SLOWEST = Pace()


@dataclass(frozen=True)
class Move:
    """An instance that would be better off on one of the `tiers`, and what it leaves, in words."""

    instance: Instance
    tiers: tuple[Tier, ...]
    leaves: str


def moves(
    tiers: tuple[Tier, ...], instances: Iterable[Instance], nodes: Mapping[str, Node], rebalancing: bool
) -> list[Move]:
    """Those to be given up first come first.

    Without `rebalancing` only what is on a spot node that has become dearer than its limit is to move.
    """

    def rank_of(instance: Instance) -> int:
        return rank(tiers, nodes.get(instance.node))

    found = []
    for instance in surplus_order(instances, rank_of):
        place, node = rank_of(instance), nodes.get(instance.node)
        dear = place == len(tiers) and node is not None and too_dear(tiers, node)
        if place and (rebalancing or dear):
            leaves = tiers[place].name if place < len(tiers) else f"node {instance.node}"
            found.append(
                Move(instance, tiers[:place], f"{leaves}, whose price has risen," if dear else leaves)
            )
    return found


def too_dear(tiers: tuple[Tier, ...], node: Node) -> bool:
    """Whether the node would belong to a tier if it cost less."""
    machine = machine_of(node.labels)
    if not machine.spot or machine.price is None:
        return False
    of_its_type = (t for t in tiers if t.spot_limit is not None and t.resource_group == node.resource_group)
    return any(t.instance_type in ("", machine.instance_type) for t in of_its_type)


def why_moved(move: Move, node: Node, tiers: tuple[Tier, ...]) -> str:
    """The sentence of the instance that leaves for one on `node`."""
    return f"{MOVES} {move.leaves} to {tiers[rank(tiers, node)].name}, which have room"


@dataclass(frozen=True)
class Probe:
    """A successor on its way, and the instance in whose place it is."""

    id: str
    old: str
    why: str


def under_way(instances: Iterable[Instance]) -> tuple[Probe, ...]:
    """The probes of a scheduler that ended meanwhile, as its instances tell of them. One whose successor is
    not found any more has failed."""
    live = sorted((i for i in instances if i.state in LIVE_STATES), key=lambda i: (i.created_at, i.id))
    moving = [i for i in live if moves_by_choice(i)]
    fresh = [i.id for i in reversed(live) if not i.serves and not i.replace_why][: len(moving)]
    found = chain(fresh, repeat(""))
    return tuple(Probe(new, old.id, old.replace_why) for old, new in zip(moving, found, strict=False))


class Outcome(StrEnum):
    """What has become of a probe."""

    WAITS = "waits"
    SERVES = "serves"
    DONE = "done"
    FAILED = "failed"


def outcome(
    probe: Probe, find: Callable[[str], Instance | None], patience: timedelta, now: datetime
) -> Outcome:
    """A probe is done when the old one leaves or when nobody waits for it, serves while the old one is still
    there, and has failed when it is in trouble, is gone, or is not ready after `patience`."""
    old, new = find(probe.old), find(probe.id)
    if old is None or old.state is InstanceState.TERMINATING or old.replace_why != probe.why:
        return Outcome.DONE
    if new is None or new.state in (InstanceState.TERMINATING, InstanceState.LOST):
        return Outcome.FAILED
    if new.serves:
        return Outcome.SERVES
    late = now - new.created_at >= patience
    return Outcome.FAILED if new.state in TROUBLED_STATES or late else Outcome.WAITS


def stays(old: Instance) -> Instance:
    """The instance that was to move, without its reason to."""
    return replace(old, replace_why="")
