"""Looks at the nodes every second and writes down what changed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from libs.db.changes import Changes, Record
from libs.domain.records import Event, Instance, Node
from libs.domain.states import EventKind, InstanceState, NodeState
from services.scheduler.agents.sessions import Sessions
from services.scheduler.ledger import Ledger
from services.scheduler.liveness.judge import Judgement, Verdict, judge
from services.scheduler.world import World


class NodeWatch:
    """One pass a call of `look`."""

    def __init__(
        self,
        ledger: Ledger,
        sessions: Sessions,
        clock: Callable[[], datetime],
        suspect_after: timedelta,
        lost_after: timedelta,
        storm_share: float,
    ) -> None:
        self._ledger, self._sessions, self._clock = ledger, sessions, clock
        self._suspect_after, self._lost_after, self._share = suspect_after, lost_after, storm_share
        self._brake = ""

    async def look(self) -> None:
        now = self._clock()
        judgement = judge(
            self._ledger.world.nodes.values(),
            self._sessions.last_seen,
            now,
            self._suspect_after,
            self._lost_after,
            self._share,
        )
        braked, self._brake = judgement.brake and not self._brake, judgement.brake
        if judgement.verdicts or braked:
            await self._ledger.change(lambda world: changes_from(world, judgement, bool(braked), now))


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
            lost = [_lost(i, node) for i in world.instances_on(node.name)]
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
