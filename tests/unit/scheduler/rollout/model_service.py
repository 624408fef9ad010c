"""One service under the planner, with everything else played: its user, its agents, its nodes, and time."""

import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count

from libs.domain.records import Instance, Node, Rollout, Service
from libs.domain.states import LIVE_STATES, InstanceState, RolloutPhase
from libs.spec.quantity import parse_count_or_percent
from services.scheduler.rollout.begin import PlanAsked, begin_rollout, version_before
from services.scheduler.rollout.groups import grouped, is_apart, serving
from services.scheduler.rollout.plan import Creation, ServicePlan, plan_service
from services.scheduler.rollout.situation import Situation
from tests.support.builders import NOON, a_node, a_service, a_spec

PLAIN = json.dumps(a_spec())
SAID = {
    "starting": {"state": InstanceState.STARTING, "ready": False, "why": "starting", "cause": ""},
    "ready": {"state": InstanceState.RUNNING, "ready": True, "why": "", "cause": ""},
    "not ready": {
        "state": InstanceState.RUNNING,
        "ready": False,
        "why": "answered 500",
        "cause": "ReadinessProbeFailed",
    },
    "crashing": {
        "state": InstanceState.CRASH_LOOP_BACK_OFF,
        "ready": False,
        "why": "exited with code 1",
        "cause": "Exited",
    },
    "no image": {
        "state": InstanceState.IMAGE_PULL_BACK_OFF,
        "ready": False,
        "why": "there is no such image",
        "cause": "ImageNotFound",
    },
}


@dataclass
class ModelService:
    """`room` is how many instances its nodes hold. Every plan is held to the planner's promises."""

    surge: int
    unavailable: int
    room: int
    auto_rollback: bool = False
    service: Service = field(default_factory=lambda: a_service(wanted=3))
    rollout: Rollout | None = None
    instances: dict[str, Instance] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=lambda: {n: a_node(n) for n in ("n0", "n1")})
    now: datetime = NOON
    newest: int = 1
    numbers: "count[int]" = field(default_factory=count)

    @property
    def counted(self) -> list[Instance]:
        live = (i for i in self.instances.values() if i.state in LIVE_STATES)
        return [i for i in live if not is_apart(i, self.service)]

    @property
    def wanted(self) -> int:
        return 0 if self.service.stopped else self.service.wanted

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def update(self, version: int, plan: PlanAsked) -> None:
        source = version_before(self.service, self.rollout, version)
        self.rollout = begin_rollout("digits", version, source, PLAIN, plan, self.now, self.rollout)
        self.service = replace(self.service, version=version)
        self.newest = max(self.newest, version)

    def say(self, instance: Instance, what: str) -> None:
        if instance.state is InstanceState.PENDING:
            return
        told = replace(instance, **SAID[what])  # type: ignore[arg-type]
        told = replace(told, restarts=told.restarts + (what == "crashing"))
        self.instances[told.id] = replace(told, ready_at=told.ready_at or (self.now if told.ready else None))

    def place(self) -> None:
        """Pending instances go where there is room, or hear why they must wait."""
        for instance in list(self.instances.values()):
            if instance.state is not InstanceState.PENDING:
                continue
            open_nodes = [n.name for n in self.nodes.values() if not n.draining]
            if open_nodes and sum(bool(i.node) for i in self.counted) < self.room:
                node = open_nodes[next(self.numbers) % len(open_nodes)]
                placed = {"state": InstanceState.SCHEDULED, "node": node, "why": "", "port": 20000}
                self.instances[instance.id] = replace(instance, started_at=self.now, **placed)  # type: ignore[arg-type]
            else:
                self.instances[instance.id] = replace(instance, why="no node has room")

    def settle(self) -> None:
        """Turns until the planner wants nothing more of what is there now."""
        for _ in range(60):
            if not self.turn():
                return
            self.place()
        raise AssertionError("the planner does not come to rest by itself")

    def turn(self) -> bool:
        """Whether it changed anything."""
        plan = self._plan()
        if plan.back_to:
            assert self.auto_rollback and self.rollout and plan.back_to < self.rollout.version
            self.update(plan.back_to, PlanAsked())
            plan = self._plan()
            assert not plan.back_to
        self._hold_to_promises(plan)
        changed = bool(plan.create or plan.remove) or plan.rollout != self.rollout
        for removal in plan.remove:
            del self.instances[removal.instance.id]
        for creation in plan.create:
            self._make(creation)
        self.rollout = plan.rollout
        self.service = replace(self.service, stable_version=plan.stable_version)
        return changed

    def _make(self, creation: Creation) -> None:
        instance = Instance(f"digits-{next(self.numbers):04}", "digits", creation.version, self.now)
        self.instances[instance.id] = instance

    def _plan(self) -> ServicePlan:
        return plan_service(self._situation())

    def _situation(self) -> Situation:
        return Situation(
            service=self.service,
            rollout=self.rollout,
            instances=tuple(self.instances.values()),
            nodes=self.nodes,
            fences={},
            surge=self.surge,
            unavailable=self.unavailable,
            now=self.now,
            auto_rollback=self.auto_rollback,
        )

    def _hold_to_promises(self, plan: ServicePlan) -> None:
        gone = {removal.instance.id for removal in plan.remove}
        left = [i for i in self.counted if i.id not in gone]
        self._hold_to_bounds(plan, left)
        for removal in plan.remove:
            assert removal.why
        update = plan.rollout
        if update is None or update.finished_at or not self.wanted:
            return
        new = [creation for creation in plan.create if creation.version == update.version]
        # One that must move is replaced at its own version, beside it at first.
        groups = grouped(self._situation())
        fresh = len([i for i in (*groups.fresh, *groups.held) if i in left])
        if update.phase is RolloutPhase.FAILED and self.service.stable_version not in (0, update.version):
            assert not new, "nothing is made of a version that fails"
        if update.partition and not update.promoted and new:
            stay = min(self.wanted, parse_count_or_percent(update.partition).of(self.wanted))
            assert fresh + len(new) <= self.wanted - stay, "a partition keeps its share"
        if update.batch_size and not update.promoted and new:
            assert fresh + len(new) <= update.released, "a batch lets no more go than it should"

    def _hold_to_bounds(self, plan: ServicePlan, left: list[Instance]) -> None:
        assert not plan.create or len(left) + len(plan.create) <= self.wanted + self.surge
        before, after = serving(self.counted), serving(left)
        isolated = sum(i.isolated for i in left)
        if after < before:
            assert after >= self.wanted - self.unavailable - isolated
            waiting = any(i.state is InstanceState.PENDING for i in left)
            if self.surge and not waiting:
                assert after >= self.wanted - isolated, "an old one leaves only after its successor"
