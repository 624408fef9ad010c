"""Moves instances to better tiers, and wakes the services whose nodes are about to go."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from libs.db.changes import Changes
from libs.domain.errors import InvalidSpec
from libs.domain.records import Instance, Service
from libs.domain.states import LIVE_STATES, EventKind, InstanceState
from services.scheduler.facts import Facts, facts_of
from services.scheduler.ledger import Ledger
from services.scheduler.pool.rebalance import (
    SLOWEST,
    Outcome,
    Pace,
    Probe,
    moves,
    outcome,
    stays,
    under_way,
    why_moved,
)
from services.scheduler.reconcile.draft import Draft
from services.scheduler.reconcile.placing import Crowd, Placer
from services.scheduler.reconcile.rest import at_rest
from services.scheduler.reconcile.turn import new_instance_id
from services.scheduler.world import World

# How much longer than usual one whose probe did not come up is left alone.
_REST = 10


@dataclass(frozen=True)
class _Known:
    """How fast a service is moved, and what is under way."""

    pace: Pace = SLOWEST
    probes: tuple[Probe, ...] = ()


class Rebalancing:
    """One pass a call of `look`. What it remembers is its pace; losing it costs a slower start."""

    def __init__(
        self, ledger: Ledger, placer: Placer, clock: Callable[[], datetime], every: timedelta
    ) -> None:
        self._ledger, self._placer, self._clock, self._every = ledger, placer, clock, every
        self._known: dict[str, _Known] = {}

    async def look(self) -> None:
        """Raises Unavailable while the database is away."""
        services = self._ledger.world.services
        for name in list(services):
            if self._concerns(name):
                await self._move(name)
        self._known = {name: known for name, known in self._known.items() if name in services}

    def _concerns(self, name: str) -> bool:
        facts = _facts(self._ledger.world, name)
        return facts is not None and (len(facts.tiers) > 1 or facts.tiers[0].spot_limit is not None)

    async def _move(self, name: str) -> None:
        turn: list[_Known] = []
        try:
            await self._ledger.change(partial(self._decided, name, turn))
        finally:
            self._placer.undo()
        # What was not stored was not done.
        for known in turn:
            self._known[name] = known

    def _decided(self, name: str, after: list[_Known], world: World) -> Changes:
        service, facts, draft = world.services.get(name), _facts(world, name), Draft(self._clock())
        if service is None or facts is None:
            return Changes()
        known = self._settled(world, service, facts, draft)
        ready = not known.probes and not draft.instances and known.pace.may_go(draft.now)
        if ready and at_rest(world, service):
            known = self._probed(world, service, facts, known.pace, draft)
        after.append(known)
        return draft.changes()

    def _settled(self, world: World, service: Service, facts: Facts, draft: Draft) -> _Known:
        """Looks after the probes that are under way: one that does not come up keeps the old one in place.

        An old one that is there though its probe serves is one too many and goes, or is needed by now.
        """
        known = self._known.get(service.name)
        if known is None:
            known = _Known(probes=under_way(world.instances_of(service.name)))
        waits = []
        for probe in known.probes:
            match outcome(probe, world.instances.get, facts.progress_deadline, draft.now):
                case Outcome.WAITS:
                    waits.append(probe)
                case Outcome.SERVES:
                    draft.instances[probe.old] = stays(world.instances[probe.old])
                case Outcome.FAILED:
                    old = stays(world.instances[probe.old])
                    draft.instances[old.id] = old
                    why = f"{old.id} stays where it is: {probe.id} did not come up in its place"
                    draft.of_service(service, "RebalancingFailed", why, EventKind.WARNING)
                    known = replace(known, pace=known.pace.failed(draft.now, _REST * self._every))
        return replace(known, probes=tuple(waits))

    def _probed(self, world: World, service: Service, facts: Facts, pace: Pace, draft: Draft) -> _Known:
        """Makes successors, each for one that is to move, up to the first that finds no room."""
        tiers, there = self._placer.tiers(facts), tuple(world.instances_of(service.name))
        wished = moves(tiers, there, world.nodes, facts.rebalancing)[: pace.probes]
        probes: list[Probe] = []
        for move in wished:
            crowd = Crowd(service.wanted, (*there, *(draft.instances[each.id] for each in probes)))
            fresh = _successor(service, facts, draft.now)
            placed = self._placer.place_in(move.tiers, fresh, facts, draft.now, crowd)
            if isinstance(placed, str):
                break
            why = why_moved(move, world.nodes[placed.node], tiers)
            draft.instances[placed.id] = placed
            draft.instances[move.instance.id] = replace(move.instance, replace_why=why)
            draft.of_instance(placed, "InstanceCreated", f"in the place of {move.instance.id}, which {why}")
            draft.placed(placed)
            probes.append(Probe(placed.id, move.instance.id, why))
        if probes:
            draft.of_service(service, "Rebalancing", f"{probes[0].old} {probes[0].why}{_and_more(probes)}")
        return _Known(pace.after(len(wished), len(probes)) if wished else SLOWEST, tuple(probes))


def _successor(service: Service, facts: Facts, now: datetime) -> Instance:
    return Instance(
        id=new_instance_id(service.name),
        service=service.name,
        version=service.version,
        created_at=now,
        resources=facts.resources,
        traceparent=service.traceparent,
    )


def _facts(world: World, name: str) -> Facts | None:
    service = world.services.get(name)
    if service is None or service.stopped or service.deleting:
        return None
    try:
        return facts_of(world.version(name, service.version).spec_json)
    except InvalidSpec:
        return None


class Reclaims:
    """One pass a call of `look`: wakes services with an instance on a node that is going."""

    def __init__(self, world: World, wake: Callable[[Iterable[str]], None]) -> None:
        self._world, self._wake = world, wake

    async def look(self) -> None:
        going = (node.name for node in self._world.nodes.values() if node.reclaim_at is not None)
        waiting = (i for name in going for i in self._world.instances_on(name) if i.state in LIVE_STATES)
        self._wake({i.service for i in waiting if i.state is not InstanceState.LOST})


def _and_more(probes: list[Probe]) -> str:
    return f", and so do {len(probes) - 1} more" if len(probes) > 1 else ""
