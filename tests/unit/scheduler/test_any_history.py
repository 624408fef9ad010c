"""Whatever is asked for, crashes, is lost or falls silent, and in whatever order: instances leave as
promised, turns come to rest, everything runs in the end, and nothing stays of what is deleted."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from libs.db.changes import Changes
from libs.domain.errors import EaselError
from libs.domain.states import RolloutPhase, ServiceState
from services.scheduler.admin import instances as by_hand
from services.scheduler.admin import nodes as node_rules
from services.scheduler.admin import rollouts
from services.scheduler.admin.updating import UpdateAsk
from services.scheduler.pool.reclaim import Announcement, asked
from services.scheduler.rollout.begin import Action, PlanAsked
from services.scheduler.rollout.groups import is_apart
from services.scheduler.world import World
from tests.unit.scheduler.model_cluster import NODES, SAID, Cluster, a_cluster

ROLLING = st.sampled_from(
    [{}, {"max_surge": 0, "max_unavailable": 1}, {"max_surge": 2}, {"max_surge": 1, "auto_rollback": True}]
)
PLANS = st.one_of(
    st.just(None),
    st.builds(PlanAsked, partition=st.sampled_from(["0", "1", "50%", "7"]), paused=st.booleans()),
    st.builds(PlanAsked, batch_size=st.sampled_from(["1", "50%"]), interval_s=st.sampled_from([None, 0, 30])),
)
nodes = st.sampled_from(NODES)
places = st.integers(0, 30)


class History(RuleBasedStateMachine):
    @initialize(cpu_milli=st.sampled_from([2000, 3000, 8000]), rolling=ROLLING)
    def begins(self, cpu_milli: int, rolling: dict[str, object]) -> None:
        self.cluster = Cluster(a_cluster(cpu_milli, rolling))
        self.cluster.rest()
        self.cluster.report("ready")

    @rule(what=st.sampled_from(sorted(SAID)))
    def agents_report(self, what: str) -> None:
        self.cluster.report(what)

    @rule(what=st.sampled_from(sorted(SAID)), place=places)
    def an_agent_reports(self, what: str, place: int) -> None:
        if known := self.cluster.instances:
            self.cluster.report(what, only=known[place % len(known)].id)

    @rule(memory=st.integers(1, 99), plan=PLANS)
    def it_is_updated(self, memory: int, plan: PlanAsked | None) -> None:
        change = json.dumps({"metadata": {"memory": memory}})
        self.cluster.update(UpdateAsk("digits", change, plan=plan))

    @rule(keepalive=st.integers(1, 9))
    def what_only_gateways_read_is_changed(self, keepalive: int) -> None:
        orders = self.cluster.orders()
        change = json.dumps({"metadata": {"rpc": {"keepalive": 1000 * keepalive}}})
        self.cluster.update(UpdateAsk("digits", change))
        assert self.cluster.orders() == orders

    @rule(place=places, plan=PLANS)
    def it_goes_to_a_version(self, place: int, plan: PlanAsked | None) -> None:
        version = 1 + place % len(self.cluster.world.versions["digits"])
        with suppress(EaselError):
            self.cluster.update(UpdateAsk("digits", to_version=version, plan=plan))

    @rule()
    def the_update_is_undone(self) -> None:
        with suppress(EaselError):
            self.cluster.update(rollouts.way_back(self.cluster.world, "digits"))

    @rule(action=st.sampled_from(list(Action)))
    def the_update_is_steered(self, action: Action) -> None:
        self._asked(lambda world: rollouts.acted(world, "digits", action, self.cluster.now))

    @rule(plan=PLANS)
    def the_update_gets_another_plan(self, plan: PlanAsked | None) -> None:
        self._asked(lambda world: rollouts.planned(world, "digits", plan or PlanAsked(), self.cluster.now))

    @rule(wanted=st.integers(0, 4))
    def it_is_scaled(self, wanted: int) -> None:
        self.cluster.set(wanted=wanted)

    @rule(stopped=st.booleans())
    def it_is_stopped_or_started(self, stopped: bool) -> None:
        self.cluster.set(stopped=stopped)

    @rule()
    def it_is_restarted(self) -> None:
        self.cluster.set(restarted_at=self.cluster.now)

    @rule(place=places, what=st.sampled_from(["delete", "restart", "isolate", "put back", "detach"]))
    def an_instance_is_treated(self, place: int, what: str) -> None:
        known, now = self.cluster.instances, self.cluster.now
        if not known:
            return
        chosen = known[place % len(known)].id
        acts: dict[str, Callable[[World], Changes]] = {
            "delete": lambda world: by_hand.deleted(world, chosen, now),
            "restart": lambda world: by_hand.restarted(world, chosen, now),
            "isolate": lambda world: by_hand.isolated(world, chosen, True, "", now),
            "put back": lambda world: by_hand.isolated(world, chosen, False, "", now),
            "detach": lambda world: by_hand.detached(world, chosen, "", now),
        }
        self._asked(acts[what])

    @rule(node=nodes, drain=st.booleans())
    def a_node_is_drained_or_opened(self, node: str, drain: bool) -> None:
        now = self.cluster.now
        if drain:
            self._asked(lambda world: node_rules.drained(world, node, "", now))
        else:
            self._asked(lambda world: node_rules.uncordoned(world, node, now))

    @rule(node=nodes, seconds=st.sampled_from([1, 60, 700]))
    def a_node_is_to_be_taken_away(self, node: str, seconds: int) -> None:
        going = Announcement(node, timedelta(seconds=seconds), force=True)
        self._asked(lambda world: asked(world, going, self.cluster.now))

    @rule(node=nodes)
    def a_node_stays_after_all(self, node: str) -> None:
        self._asked(lambda world: asked(world, Announcement(node, cancel=True), self.cluster.now))

    @rule(node=nodes, lost=st.booleans())
    def a_node_is_lost_or_back(self, node: str, lost: bool) -> None:
        (self.cluster.lose if lost else self.cluster.bring_back)(node)

    @rule(answers=st.booleans())
    def the_gateway_answers_or_not(self, answers: bool) -> None:
        self.cluster.answers = answers

    @rule()
    def the_scheduler_restarts(self) -> None:
        self.cluster.restart()

    @rule(seconds=st.sampled_from([1, 31, 700]))
    def time_passes(self, seconds: int) -> None:
        self.cluster.now += timedelta(seconds=seconds)

    @invariant()
    def turns_come_to_rest(self) -> None:
        if hasattr(self, "cluster"):
            self.cluster.now += timedelta(milliseconds=200)
            self.cluster.rest()

    def teardown(self) -> None:
        if hasattr(self, "cluster"):
            runs_in_the_end(self.cluster)
            leaves_nothing(self.cluster)

    def _asked(self, decide: Callable[[World], Changes]) -> None:
        with suppress(EaselError):
            self.cluster.stored(decide(self.cluster.world))


def runs_in_the_end(cluster: Cluster) -> None:
    cluster.mend()
    with suppress(EaselError):
        cluster.stored(rollouts.acted(cluster.world, "digits", Action.PROMOTE, cluster.now))
    cluster.settle()
    service = cluster.service
    counted = [i for i in cluster.instances if not is_apart(i, service)]
    isolated = sum(i.isolated for i in counted)
    assert len(counted) == service.wanted
    assert {i.version for i in counted} <= {service.version}
    assert sum(i.routed for i in counted) == service.wanted - isolated
    if not service.wanted:
        assert service.state is ServiceState.STOPPED
    if service.wanted > isolated:
        assert service.state is ServiceState.RUNNING
        assert service.stable_version == service.version
        rollout = cluster.world.rollouts.get("digits")
        assert rollout is None or rollout.phase is RolloutPhase.COMPLETED


def leaves_nothing(cluster: Cluster) -> None:
    cluster.stored(Changes(put=(replace(cluster.service, deleting=True),)))
    for _ in range(4):
        cluster.now += timedelta(seconds=31)
        cluster.rest()
        cluster.report("ready")
    cluster.rest()
    world = cluster.world
    assert not (world.services or world.instances or world.versions or world.rollouts)


History.TestCase.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestHistory = History.TestCase
