"""One turn of the reconciler over some services: from the picture to the changes. Pure but for the placer."""

import secrets
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from libs.db.changes import Changes
from libs.domain.errors import InvalidSpec
from libs.domain.records import Instance, Rollout, Service, ServiceVersion
from libs.domain.states import LIVE_STATES, EventKind, InstanceState, RolloutPhase, ServiceState
from libs.spec import parse_stored
from libs.spec.service import DEFAULT_GRACE_SECONDS
from services.scheduler.facts import Facts, facts_of
from services.scheduler.groups.membership import placed, with_groups
from services.scheduler.mirrors.rules import with_mirrors
from services.scheduler.pointer import pointed_at
from services.scheduler.reconcile.draft import Draft
from services.scheduler.reconcile.drain import Unrouted, judge_drain
from services.scheduler.reconcile.placing import Crowd, Placer
from services.scheduler.reconcile.rest import at_rest
from services.scheduler.reconcile.state import service_state
from services.scheduler.rollout.begin import PlanAsked, begin_rollout
from services.scheduler.rollout.groups import Removal
from services.scheduler.rollout.obsolete import LAST_CALL, soon_gone
from services.scheduler.rollout.plan import Creation, ServicePlan, plan_service
from services.scheduler.rollout.situation import Situation
from services.scheduler.scaling.patience import impatience
from services.scheduler.scaling.policies import may_sleep
from services.scheduler.world import World

# How far the gateways are with routing around an instance.
UnroutedOf = Callable[[str], Unrouted]
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_ROLLOUT_TROUBLE = (RolloutPhase.FAILED, RolloutPhase.PAUSED)


def new_instance_id(service: str) -> str:
    return f"{service}-{''.join(secrets.choice(_ALPHABET) for _ in range(8))}"


@dataclass(frozen=True)
class Turn:
    """A turn's inputs, fixed for its length."""

    world: World
    placer: Placer
    unrouted: UnroutedOf
    ack_timeout: timedelta
    now: datetime
    name_instance: Callable[[str], str] = new_instance_id
    # Whether services at rest are passed over; without it the changes are the same, and take longer.
    fast: bool = True

    def changes(self, services: Iterable[str]) -> Changes:
        """What must be stored so that these services come closer to what is wanted."""
        draft = Draft(self.now)
        for name in services:
            service = self.world.services.get(name)
            if service is not None and not (self.fast and at_rest(self.world, service)):
                self._service(service, draft)
        changes = with_groups(self.world, draft.changes(), self.now)
        return with_mirrors(self.world, changes, self.now)

    def _service(self, service: Service, draft: Draft) -> None:
        mine = {i.id: i for i in self.world.instances_of(service.name)}
        unreadable = ""
        try:
            service, plan = self._planned(service, tuple(mine.values()), draft)
        except InvalidSpec as error:
            # Stored by another release of Easel. What runs is left alone, and keeps its traffic.
            unreadable = f"version {service.version} cannot be read any more: {error}"
            plan = ServicePlan(rollout=self.world.rollouts.get(service.name))
        self._rollout_told(service, plan.rollout, draft)
        created = [self._made(service, creation, draft) for creation in plan.create]
        left = [self._left(removal, draft) for removal in plan.remove]
        mine |= {i.id: i for i in (*created, *left)}
        for instance in tuple(mine.values()):
            mine[instance.id] = self._drained(self._hurried(instance, service, draft), draft)
        if not unreadable:
            mine |= {i.id: i for i in self._placed(service, mine.values(), draft)}
        remaining = [i for i in mine.values() if i.id not in draft.gone]
        service = replace(service, stable_version=plan.stable_version or service.stable_version)
        self._state(service, plan.rollout, remaining, unreadable, draft)

    def _planned(
        self, service: Service, instances: tuple[Instance, ...], draft: Draft
    ) -> tuple[Service, ServicePlan]:
        """The plan, and the service it is for: that of another version when the update is taken back."""
        rollout = self.world.rollouts.get(service.name)
        plan = plan_service(self._situation(service, rollout, instances))
        if not plan.back_to:
            return service, plan
        version = self.world.version(service.name, plan.back_to)
        back = begin_rollout(
            service.name,
            plan.back_to,
            service.version,
            version.spec_json,
            PlanAsked(),
            self.now,
            rollout,
            because=plan.why,
        )
        service = self._placed_by(pointed_at(service, version), version, draft)
        why = f"back to version {plan.back_to}: {plan.why}"
        draft.of_service(service, "RolloutRolledBack", why, EventKind.WARNING)
        return service, plan_service(self._situation(service, back, instances))

    def _placed_by(self, service: Service, version: ServiceVersion, draft: Draft) -> Service:
        """In the group and on the gateway of this version; where they will not have it, it stays as it is."""
        try:
            return placed(self.world, service, parse_stored(version.spec_json).spec)
        except InvalidSpec as refused:
            why = f"it stays in its group and on its gateway: {refused}"
            draft.of_service(service, "GroupRefused", why, EventKind.WARNING)
            return service

    def _situation(
        self, service: Service, rollout: Rollout | None, instances: tuple[Instance, ...]
    ) -> Situation:
        gone = service.stopped or service.deleting
        # Nothing of its service.json is needed to take a service away.
        facts = None if gone else facts_of(self.world.version(service.name, service.version).spec_json)
        surge, unavailable = facts.headroom.of(service.wanted) if facts else (0, 0)
        # A node that goes away takes all of its instances at once: so many successors are made at once.
        surge = max(surge, sum(self._is_reclaimed(i) for i in instances))
        return Situation(
            service=service,
            rollout=rollout,
            instances=instances,
            nodes=self.world.nodes,
            fences=self.world.gpu_fences,
            surge=surge,
            unavailable=unavailable,
            now=self.now,
            auto_rollback=facts.auto_rollback if facts else False,
            progress_deadline=facts.progress_deadline if facts else timedelta(),
            makes_room=lambda leaving: self._makes_room(leaving, service.wanted, instances),
            rank_of=self._rank_of(facts),
            leave_within=facts.grace + LAST_CALL if facts else LAST_CALL,
            sleeps=may_sleep(self.world, service.name),
            port_holder=self._port_holder,
        )

    def _makes_room(self, leaving: Instance, wanted: int, instances: tuple[Instance, ...]) -> bool:
        """Whether one that waits for room would find it in the place of this one."""
        crowd = Crowd(wanted, instances)
        waiting = {i.version: i for i in instances if i.state is InstanceState.PENDING and i.why}
        return any(self.placer.fits_without(i, self._facts_for(i), leaving, crowd) for i in waiting.values())

    def _rank_of(self, facts: Facts | None) -> Callable[[Instance], int]:
        if facts is None or len(facts.tiers) == 1:
            return lambda _: 0
        return lambda instance: self.placer.rank(instance, facts)

    def _is_reclaimed(self, instance: Instance) -> bool:
        node = self.world.nodes.get(instance.node)
        return node is not None and node.reclaim_at is not None and instance.state in LIVE_STATES

    def _port_holder(self, instance: Instance) -> str:
        """The other instance of its node that listens on the port that this one was given."""
        near = (i for i in self.world.instances_on(instance.node) if i.id != instance.id)
        holders = (i.id for i in near if i.port == instance.host_port and i.state is not InstanceState.LOST)
        return next(holders, "")

    def _facts_for(self, instance: Instance) -> Facts:
        return facts_of(self.world.version(instance.service, instance.version).spec_json)

    def _made(self, service: Service, creation: Creation, draft: Draft) -> Instance:
        instance = Instance(
            id=self.name_instance(service.name),
            service=service.name,
            version=creation.version,
            created_at=self.now,
            traceparent=service.traceparent,
        )
        instance = replace(instance, resources=self._facts_for(instance).resources)
        draft.instances[instance.id] = instance
        draft.of_instance(instance, "InstanceCreated", creation.why)
        return instance

    def _left(self, removal: Removal, draft: Draft) -> Instance:
        leaving = replace(
            removal.instance,
            state=InstanceState.TERMINATING,
            ready=False,
            why=removal.why,
            drain_started_at=self.now,
            restart_asked_at=None,
            leaves_patiently=removal.patient,
        )
        draft.instances[leaving.id] = leaving
        draft.of_instance(leaving, "InstanceLeaving", removal.why)
        return leaving

    def _hurried(self, instance: Instance, service: Service, draft: Draft) -> Instance:
        """Takes back the patience with one that leaves, where it cannot be had any more."""
        node, sleeps = self.world.nodes.get(instance.node), may_sleep(self.world, service.name)
        within = self._grace_of(instance) if node is not None and node.reclaim_at else timedelta()
        why = impatience(instance, service, node, sleeps, soon_gone(node, within + LAST_CALL, self.now))
        if not why:
            return instance
        draft.of_instance(instance, "InstanceHurried", f"it has its grace period from now on: {why}")
        return self._drafted(replace(instance, leaves_patiently=False, why=why), draft)

    def _grace_of(self, instance: Instance) -> timedelta:
        try:
            return self._facts_for(instance).grace
        except InvalidSpec:  # stored by another release
            return timedelta(seconds=DEFAULT_GRACE_SECONDS)

    def _drained(self, instance: Instance, draft: Draft) -> Instance:
        """Stops what left traffic, or starts its program anew, once no gateway routes to it."""
        leaving = instance.state is InstanceState.TERMINATING and not instance.stopping
        restarting = instance.restart_asked_at is not None and instance.state in LIVE_STATES
        if not leaving and not restarting:
            return instance
        if not instance.node:
            if leaving:
                draft.forget(instance)
                return instance
            return self._drafted(replace(instance, restart_asked_at=None), draft)
        if leaving and instance.id in draft.instances and instance.ready_at is not None:
            return instance  # the gateways have not even heard of it yet
        verdict = judge_drain(instance, self.unrouted(instance.id), self.ack_timeout, self.now)
        told = replace(instance, why=verdict.why) if verdict.say and leaving else instance
        if verdict.out and leaving:
            draft.of_instance(told, "InstanceStopping", verdict.why)
            told = replace(told, stopping=True)
        elif verdict.out:
            draft.of_instance(told, "InstanceRestarting", f"a restart was asked for; {verdict.why}")
            told = replace(told, run=told.run + 1, restart_asked_at=None, ready=False)
        return self._drafted(told, draft) if told != instance else instance

    def _drafted(self, instance: Instance, draft: Draft) -> Instance:
        draft.instances[instance.id] = instance
        return instance

    def _placed(self, service: Service, instances: Collection[Instance], draft: Draft) -> list[Instance]:
        pending = [i for i in instances if i.state is InstanceState.PENDING]
        said = {i.id for i in pending if i.why}
        crowd = Crowd(service.wanted, tuple(instances))
        changed = self.placer.place(((i, self._facts_for(i)) for i in pending), self.now, crowd)
        for instance in changed:
            draft.instances[instance.id] = instance
            if instance.node or instance.id not in said:
                draft.placed(instance)
        return changed

    def _rollout_told(self, service: Service, rollout: Rollout | None, draft: Draft) -> None:
        known = self.world.rollouts.get(service.name)
        if rollout is None or rollout == known:
            return
        draft.rollouts[service.name] = rollout
        if known is None or (known.version, known.phase) != (rollout.version, rollout.phase):
            kind = EventKind.WARNING if rollout.phase in _ROLLOUT_TROUBLE else EventKind.NORMAL
            draft.of_service(service, f"Rollout{rollout.phase.value}", rollout.why, kind)

    def _state(
        self,
        service: Service,
        rollout: Rollout | None,
        instances: list[Instance],
        unreadable: str,
        draft: Draft,
    ) -> None:
        if service.deleting and all(i.state is InstanceState.LOST for i in instances):
            self._deleted(service, instances, draft)
            return
        state, why = service_state(service, rollout, instances, may_sleep(self.world, service.name))
        if unreadable:
            state, why = ServiceState.FAILED, unreadable
        before = self.world.services[service.name]
        if (state, why) != (before.state, before.why):
            service = replace(service, state=state, why=why, updated_at=self.now)
        if service != before:
            draft.services[service.name] = service
        if state is not before.state:
            kind = EventKind.WARNING if state is ServiceState.FAILED else EventKind.NORMAL
            draft.of_service(service, f"Service{state.value}", why, kind)

    def _deleted(self, service: Service, instances: list[Instance], draft: Draft) -> None:
        rollout = self.world.rollouts.get(service.name)
        draft.services.pop(service.name, None)
        draft.rollouts.pop(service.name, None)
        versions = self.world.versions.get(service.name, {}).values()
        # A service that is made anew under the name is not opened by what opened this one.
        tokens = self.world.access_tokens_of("service", service.name)
        draft.forget(self.world.services[service.name], *versions, *instances, *tokens)
        if rollout is not None:
            draft.forget(rollout)
        draft.of_service(service, "ServiceDeleted", "nothing of it is left")
