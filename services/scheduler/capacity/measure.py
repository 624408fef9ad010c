"""What fits where now: of a shape in resource groups, of a service in each of its tiers. Pure.

The snapshot is used as a scratch pad in between, and is as before when the answer is there.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from libs.domain.records import PUBLIC_GROUP, Node
from services.scheduler.capacity.node_fits import UNBOUNDED, NodeFits, fits_on, view_of
from services.scheduler.placement import Ask, Placement, Snapshot, Spot, place
from services.scheduler.placement.rules import FILTERS
from services.scheduler.placement.words import counted
from services.scheduler.pool.tiers import Tier, used_by_tier, used_up

# Instances that are put on trial at most, where a cap leaves it open on which nodes they go.
_MOST_TRIALS = 10_000
_ORDER = {rule.name: place for place, rule in enumerate(FILTERS)}


@dataclass(frozen=True)
class Fits:
    """How many more fit on the nodes of one group or tier; `reasons` are against one more than that."""

    ask: Ask
    fits: int
    reasons: tuple[str, ...]
    on: tuple[NodeFits, ...]
    tier: str = ""


def of_shape(ask: Ask, groups: Iterable[str], snapshot: Snapshot) -> list[Fits]:
    """In each group what a service that names it would get."""
    found = []
    for group in groups:
        spot = Spot.NONE if group == PUBLIC_GROUP else Spot.ANY
        asked = replace(ask, resource_group=group, spot=spot)
        nodes = sorted(name for name in snapshot.nodes if snapshot.node(name).resource_group == group)
        on = tuple(fits_on(asked, view_of(snapshot, name)) for name in nodes)
        found.append(Fits(asked, _sum(on), _reasons(on), on))
    return found


@dataclass
class _Trial:
    """What of the tiers before one is spoken for."""

    full: set[str] = field(default_factory=set)
    assumed: list[Placement] = field(default_factory=list)


def of_tiers(
    tiers: tuple[Tier, ...],
    asks: Sequence[Ask],
    there: Iterable[Node | None],
    wanted: int,
    snapshot: Snapshot,
) -> list[Fits]:
    """In each tier what is left when those before it are full. `there` are the nodes of the instances that
    the service has."""
    trial, found, there = _Trial(), [], tuple(there)
    with _scratch(snapshot, trial):
        for number, (tier, ask) in enumerate(zip(tiers, asks, strict=True)):
            tried = (snapshot.node(placement.node) for placement in trial.assumed)
            used = used_by_tier(tiers, (*there, *tried), wanted)[number]
            found.append(_of_tier(tier, ask, used, wanted, snapshot, trial))
    return found


def _of_tier(tier: Tier, ask: Ask, used: int, wanted: int, snapshot: Snapshot, trial: _Trial) -> Fits:
    nodes = sorted(n for n in snapshot.nodes if n not in trial.full and tier.takes(snapshot.node(n)))
    on = tuple(fits_on(ask, view_of(snapshot, name)) for name in nodes)
    room = _sum(on)
    left = room if tier.cap is None else max(0, tier.cap.of(wanted) - used)
    if room <= left:
        trial.full |= set(nodes)
        return Fits(ask, room, _reasons(on), on, tier.name)
    tried = _tried(ask, left, snapshot, trial)
    capped = tuple(replace(each, fits=tried[each.node], why="", rule="") for each in on)
    return Fits(ask, left, (used_up(tier, used + left, wanted),), capped, tier.name)


def _tried(ask: Ask, count: int, snapshot: Snapshot, trial: _Trial) -> Counter[str]:
    """Puts so many where placement would put them, and leaves them there for the tiers that follow."""
    on: Counter[str] = Counter()
    for _ in range(_MOST_TRIALS):
        if on.total() >= count:
            break
        answer = place(replace(ask, instance=f"on trial {len(trial.assumed)}"), snapshot)
        if not isinstance(answer, Placement):
            break
        snapshot.assume(answer)
        trial.assumed.append(answer)
        # A node that is full by the tiers before takes none, though nothing of that is on it here.
        on[answer.node] += answer.node not in trial.full
    return on


@contextmanager
def _scratch(snapshot: Snapshot, trial: _Trial) -> Iterator[None]:
    try:
        yield
    finally:
        for placement in trial.assumed:
            snapshot.release(placement.ask.instance)


def _sum(on: Iterable[NodeFits]) -> int:
    return min(UNBOUNDED, sum(each.fits for each in on))


def _reasons(on: Sequence[NodeFits]) -> tuple[str, ...]:
    """One sentence for each reason, with the number of its nodes, in the order in which rules are asked."""
    if not on:
        return ("no nodes",)
    # What is left on each of them differs, and is said for each.
    said = Counter((_ORDER[each.rule], each.why.partition(" (")[0]) for each in on if each.why)
    return tuple(f"{counted(number, 'node')}: {why}" for (_, why), number in sorted(said.items()))
