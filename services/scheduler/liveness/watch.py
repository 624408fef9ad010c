"""Looks at the nodes every second and writes down what changed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from libs.db.changes import Changes, Record
from libs.domain.records import Event, Instance, Node
from libs.domain.states import EventKind, InstanceState, NodeState
from services.scheduler.agents.sessions import Sessions
from services.scheduler.ledger import Ledger
from services.scheduler.liveness.judge import Heard, Judgement, Limits, Verdict, judge
from services.scheduler.world import World

# Looks come every second; one that is so late was not late by chance.
_STOOD_STILL = timedelta(seconds=5)


class NodeWatch:
    """One pass a call of `look`."""

    def __init__(
        self, ledger: Ledger, sessions: Sessions, clock: Callable[[], datetime], limits: Limits
    ) -> None:
        self._ledger, self._sessions, self._clock, self._limits = ledger, sessions, clock, limits
        self._brake = ""
        self._since = self._looked_at = clock()

    @property
    def brake(self) -> str:
        """Why no node is given up on now; empty when the storm brake does not hold."""
        return self._brake

    async def look(self) -> None:
        """Raises Unavailable while the database is away; nobody is blamed for that time."""
        await self._ledger.change(self._changes)

    def _changes(self, world: World) -> Changes:
        now = self._clock()
        # This process stood still, or could not write: what it did not hear then may have been said.
        if now - self._looked_at >= _STOOD_STILL:
            self._since = now
        self._looked_at = now
        heard = Heard(self._sessions.last_seen, self._sessions.linked, self._since)
        judgement = judge(world.nodes.values(), heard, now, self._limits)
        braked, self._brake = judgement.brake and not self._brake, judgement.brake
        # Those who are still silent when a storm ends have their full time to come back.
        if self._brake:
            self._since = now
        return changes_from(world, judgement, bool(braked), now)


def changes_from(world: World, judgement: Judgement, braked: bool, now: datetime) -> Changes:
    """The nodes' new states; what ran on a lost node is given up on. Pure."""
    put: list[Record] = []
    events: list[Event] = []
    if braked:
        events.append(
            Event(now, EventKind.WARNING, "EvictionFrozen", judgement.brake, "scheduler", "liveness")
        )
    for verdict in judgement.verdicts:
        node = world.nodes.get(verdict.node.name)
        if node is None or node.state is not verdict.node.state:
            continue
        put.append(replace(node, state=verdict.state, why=_standing_why(verdict)))
        kind = EventKind.NORMAL if verdict.state is NodeState.READY else EventKind.WARNING
        events.append(Event(now, kind, f"Node{verdict.state.value}", verdict.why, "node", node.name))
        if verdict.state is NodeState.LOST:
            lost = [
                _lost(i, node) for i in world.instances_on(node.name) if i.state is not InstanceState.LOST
            ]
            put += lost
            events += [
                Event(now, EventKind.WARNING, "InstanceLost", i.why, "instance", i.id, i.service)
                for i in lost
            ]
    return Changes(put=tuple(put), events=tuple(events))


def _standing_why(verdict: Verdict) -> str:
    return "" if verdict.state is NodeState.READY else verdict.why


def _lost(instance: Instance, node: Node) -> Instance:
    return replace(instance, state=InstanceState.LOST, ready=False, why=f"node {node.name} was given up on")
