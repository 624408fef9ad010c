"""A scheduler's turns over one service, with its user, its agents, its gateway and time played.

Each turn is held to what the scheduler promises of instances that leave, whatever came before.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count

from easel.agent.v1 import agent_pb2
from easel.common.v1 import common_pb2
from libs.db.changes import Changes
from libs.domain.records import Instance, Resources, Service
from libs.domain.states import InstanceState, NodeState, ServiceState
from services.scheduler.admin import nodes as node_rules
from services.scheduler.admin.updating import UpdateAsk, changes_of, decide_update
from services.scheduler.agents.desired import desired_state
from services.scheduler.agents.reports import absent_after_hello, changes_from_reports
from services.scheduler.liveness.judge import Judgement, Verdict
from services.scheduler.liveness.watch import changes_from
from services.scheduler.reconcile.drain import Unrouted
from services.scheduler.reconcile.placing import Placer
from services.scheduler.reconcile.rest import at_rest
from services.scheduler.reconcile.turn import Turn
from services.scheduler.world import World
from tests.support.builders import NOON, a_node, a_service, a_spec, a_version, a_world

ACK_TIMEOUT = timedelta(seconds=30)
NODES = ("n1", "n2")
SAID = {
    "ready": {"state": common_pb2.INSTANCE_STATE_RUNNING, "ready": True},
    "not ready": {"state": common_pb2.INSTANCE_STATE_RUNNING, "why": "answered 500", "cause": "ProbeFailed"},
    "starting": {"state": common_pb2.INSTANCE_STATE_STARTING},
    "crashing": {"state": common_pb2.INSTANCE_STATE_CRASH_LOOP_BACK_OFF, "why": "exited", "cause": "Exited"},
}


def a_cluster(cpu_milli: int, rolling: dict[str, object]) -> World:
    """Three instances wanted, of one CPU each."""
    room = Resources(cpu_milli=cpu_milli, memory_mib=16_000, disk_mib=100_000)
    spec = {**a_spec(instance=3, cpu=1, rolling_strategy=rolling), "token": "secret"}
    nodes = (a_node(name, capacity=room) for name in NODES)
    return a_world(*nodes, a_service(wanted=3), a_version(spec=spec))


@dataclass
class Cluster:
    """`runs` are the programs that agents run, by instance; `answers` is whether the gateway does."""

    world: World
    now: datetime = NOON
    answers: bool = True
    down: set[str] = field(default_factory=set)
    runs: dict[str, str] = field(default_factory=dict)
    crashes: Counter[str] = field(default_factory=Counter)
    numbers: "count[int]" = field(default_factory=count)

    def __post_init__(self) -> None:
        self.restart()

    @property
    def service(self) -> Service:
        return self.world.services["digits"]

    @property
    def instances(self) -> list[Instance]:
        return sorted(self.world.instances_of("digits"), key=lambda i: i.id)

    def restart(self) -> None:
        """The scheduler forgets all that it does not store."""
        self.placer = Placer(self.world)

    def stored(self, changes: Changes) -> None:
        done = replace(changes, put=tuple(replace(r, revision=r.revision + 1) for r in changes.put))
        self.world.apply(done)
        self.placer.heard(done)

    def set(self, **fields: object) -> None:
        self.stored(Changes(put=(replace(self.service, **fields),)))  # type: ignore[arg-type]

    def update(self, ask: UpdateAsk) -> None:
        self.stored(changes_of(decide_update(self.world, ask, self.now), "", self.now))

    def orders(self) -> list[agent_pb2.DesiredState]:
        """What the agents are told to run."""
        return [desired_state(self.world, node, 1) for node in NODES]

    def rest(self) -> None:
        """Turns until nothing changes any more."""
        for _ in range(40):
            if not self.turn():
                return
        raise AssertionError("the scheduler does not come to rest by itself")

    def turn(self) -> bool:
        unrouted = Unrouted(() if self.answers else ("gateway g",))
        turn = Turn(self.world, self.placer, lambda _: unrouted, ACK_TIMEOUT, self.now, self._name)
        changes = turn.changes(["digits"])
        self._hold_to_promises(changes)
        self._hold_to_rest(turn)
        self.stored(changes)
        self.placer.undo()
        return bool(changes)

    def report(self, what: str, only: str = "") -> None:
        """The agents that are there say this of what they run, and end what they must."""
        for node in set(NODES) - self.down:
            orders = {each.id: each for each in desired_state(self.world, node, 1).assignments}
            self.runs = {i: at for i, at in self.runs.items() if at != node or i in orders}
            told = [self._told(order, what) for order in orders.values() if only in ("", order.id)]
            self.stored(changes_from_reports(self.world, node, told, self.now))

    def lose(self, node: str) -> None:
        if node not in self.down:
            self.down.add(node)
            lost = Judgement((Verdict(self.world.nodes[node], NodeState.LOST, "not heard of"),))
            self.stored(changes_from(self.world, lost, False, self.now))

    def bring_back(self, node: str) -> None:
        if node not in self.down:
            return
        self.down.remove(node)
        self.stored(Changes(put=(replace(self.world.nodes[node], state=NodeState.READY),)))
        running = [i for i, at in self.runs.items() if at == node]
        there = [self.world.instances[i] for i in running if i in self.world.instances]
        told = [agent_pb2.InstanceReport(id=i.id, epoch=i.epoch, ready=True) for i in there]
        self.stored(changes_from_reports(self.world, node, told, self.now))
        self.stored(absent_after_hello(self.world, node, running, self.now))

    def mend(self) -> None:
        """Every node is back and has room, the gateway answers, and nobody keeps the service from running."""
        self.answers = True
        room = Resources(cpu_milli=500_000, memory_mib=1_000_000, disk_mib=10_000_000)
        for node in NODES:
            self.bring_back(node)
            self.stored(node_rules.uncordoned(self.world, node, self.now))
            known = replace(self.world.nodes[node], capacity=room, reclaim_at=None, reclaim_why="")
            self.stored(Changes(put=(known,)))
        if self.service.stopped:
            self.set(stopped=False, state=ServiceState.CREATING)

    def settle(self) -> None:
        """Time passes in which agents do what they should."""
        for _ in range(30):
            self.now += ACK_TIMEOUT
            self.rest()
            self.report("ready")
        self.rest()

    def _name(self, service: str) -> str:
        return f"{service}-{next(self.numbers):04}"

    def _told(self, order: agent_pb2.Assignment, what: str) -> agent_pb2.InstanceReport:
        if order.stop:
            self.runs.pop(order.id, None)
            return agent_pb2.InstanceReport(id=order.id, epoch=order.epoch, gone=True)
        self.runs[order.id] = self.world.instances[order.id].node
        self.crashes[order.id] += what == "crashing"
        base = agent_pb2.InstanceReport(id=order.id, epoch=order.epoch, run=order.run, port=20000)
        base.restarts = self.crashes[order.id]
        base.MergeFrom(agent_pb2.InstanceReport(**SAID[what]))  # type: ignore[arg-type]
        return base

    def _hold_to_promises(self, changes: Changes) -> None:
        before = {i.id: i for i in self.instances}
        for record in changes.put:
            old = before.get(record.id) if isinstance(record, Instance) else None
            if old is None or not isinstance(record, Instance):
                continue
            if (record.stopping, record.run) != (old.stopping, old.run):
                self._hold_to_drain(old)
        for record in changes.delete:
            if isinstance(record, Instance):
                never_ran = not record.node or record.state is InstanceState.LOST
                assert never_ran, "what has a node is forgotten only when its agent says that it is gone"

    def _hold_to_rest(self, turn: Turn) -> None:
        """What is passed over is what nothing would be done about."""
        service = self.world.services.get("digits")
        if service is not None and at_rest(self.world, service):
            assert not replace(turn, fast=False).changes(["digits"])

    def _hold_to_drain(self, instance: Instance) -> None:
        assert not instance.routed, "it was out of the routes before it was stopped or started anew"
        if instance.ready_at is None:
            return
        left_at = instance.drain_started_at or instance.restart_asked_at
        assert left_at is not None, "it left the routes a turn before"
        assert self.answers or self.now - left_at >= ACK_TIMEOUT, "the gateway was asked, or waited for"
