"""One turn of the reconciler over some services: from the picture to the changes. Pure but for the placer."""

import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from libs.db.changes import Changes, Record
from libs.domain.records import Event, Instance, Service
from libs.domain.states import EventKind, InstanceState, ServiceState
from services.scheduler.facts import Facts, facts_of
from services.scheduler.reconcile.drain import Unrouted, judge_drain
from services.scheduler.reconcile.placing import Placer
from services.scheduler.reconcile.plan import ServicePlan, plan_service
from services.scheduler.reconcile.state import service_state
from services.scheduler.world import World

# How far the gateways are with routing around an instance.
UnroutedOf = Callable[[str], Unrouted]

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


def new_instance_id(service: str) -> str:
    return f"{service}-{''.join(secrets.choice(_ALPHABET) for _ in range(8))}"


@dataclass
class _Draft:
    """What a turn has decided so far; the last word on each instance wins."""

    instances: dict[str, Instance]
    put: list[Record]
    delete: list[Record]
    events: list[Event]


@dataclass(frozen=True)
class Turn:
    """A turn's inputs, fixed for its length."""

    world: World
    placer: Placer
    unrouted: UnroutedOf
    ack_timeout: timedelta
    now: datetime
    name_instance: Callable[[str], str] = new_instance_id

    def changes(self, services: Iterable[str]) -> Changes:
        """What must be stored so that these services come closer to what is wanted."""
        draft = _Draft({}, [], [], [])
        for name in services:
            service = self.world.services.get(name)
            if service is not None:
                self._service(service, draft)
        return Changes((*draft.put, *draft.instances.values()), tuple(draft.delete), tuple(draft.events))

    def _service(self, service: Service, draft: _Draft) -> None:
        facts = facts_of(self.world.version(service.name, service.version).spec_json)
        mine = {i.id: i for i in self.world.instances_of(service.name)}
        plan = plan_service(service, facts, mine.values(), self.world.nodes)
        created = self._created(service, facts, plan, draft)
        left = self._left(service, plan, draft)
        mine |= {i.id: i for i in (*created, *left)}
        self._drained(mine, draft)
        pending = [i for i in mine.values() if i.state is InstanceState.PENDING]
        for instance in self.placer.place((i, self._facts_for(i)) for i in pending):
            first_said = not mine[instance.id].why
            draft.instances[instance.id] = instance
            if instance.node or first_said:
                draft.events.append(_placement_event(instance, self.now))
        mine |= {i: draft.instances[i] for i in mine if i in draft.instances}
        for gone in (r for r in draft.delete if isinstance(r, Instance)):
            mine.pop(gone.id, None)
        self._state(service, mine.values(), draft)

    def _facts_for(self, instance: Instance) -> Facts:
        return facts_of(self.world.version(instance.service, instance.version).spec_json)

    def _created(self, service: Service, facts: Facts, plan: ServicePlan, draft: _Draft) -> list[Instance]:
        made = [
            Instance(
                id=self.name_instance(service.name),
                service=service.name,
                version=service.version,
                created_at=self.now,
                resources=facts.resources,
                traceparent=service.traceparent,
            )
            for _ in range(plan.create)
        ]
        draft.instances |= {i.id: i for i in made}
        draft.events += [_event(i, "InstanceCreated", plan.why, self.now) for i in made]
        return made

    def _left(self, service: Service, plan: ServicePlan, draft: _Draft) -> list[Instance]:
        left = []
        for removal in plan.remove:
            instance = replace(
                removal.instance,
                state=InstanceState.TERMINATING,
                ready=False,
                why=removal.why,
                drain_started_at=self.now,
            )
            draft.instances[instance.id] = instance
            draft.events.append(_event(instance, "InstanceLeaving", removal.why, self.now))
            left.append(instance)
        return left

    def _drained(self, mine: dict[str, Instance], draft: _Draft) -> None:
        for instance in mine.values():
            if instance.state is not InstanceState.TERMINATING or instance.stopping:
                continue
            if not instance.node:
                draft.instances.pop(instance.id, None)
                if instance.revision:
                    draft.delete.append(instance)
                continue
            just_left = instance.id in draft.instances and instance.ready_at is not None
            if just_left:  # the gateways have not even heard of it yet
                continue
            verdict = judge_drain(
                instance, self._facts_for(instance), self.unrouted(instance.id), self.ack_timeout, self.now
            )
            if verdict.stop:
                draft.instances[instance.id] = replace(instance, stopping=True)
                draft.events.append(_event(instance, "InstanceStopping", verdict.why, self.now))

    def _state(self, service: Service, instances: Iterable[Instance], draft: _Draft) -> None:
        instances = list(instances)
        if service.deleting and all(i.state is InstanceState.LOST for i in instances):
            versions = self.world.versions.get(service.name, {}).values()
            draft.delete += [service, *versions, *instances]
            for instance in instances:
                draft.instances.pop(instance.id, None)
            draft.events.append(_service_event(service, "ServiceDeleted", "nothing of it is left", self.now))
            return
        state, why = service_state(service, instances)
        if (state, why) == (service.state, service.why):
            return
        draft.put.append(replace(service, state=state, why=why, updated_at=self.now))
        if state is not service.state:
            draft.events.append(_service_event(service, f"Service{state.value}", why, self.now, state))


def _placement_event(instance: Instance, now: datetime) -> Event:
    placed = instance.state is InstanceState.SCHEDULED
    reason = "InstanceScheduled" if placed else "InstancePending"
    kind = EventKind.NORMAL if placed else EventKind.WARNING
    return _event(instance, reason, instance.why, now, kind)


def _event(
    instance: Instance, reason: str, why: str, now: datetime, kind: EventKind = EventKind.NORMAL
) -> Event:
    return Event(now, kind, reason, why, "instance", instance.id, instance.service)


def _service_event(
    service: Service, reason: str, why: str, now: datetime, state: ServiceState | None = None
) -> Event:
    kind = EventKind.WARNING if state is ServiceState.FAILED else EventKind.NORMAL
    return Event(now, kind, reason, why, "service", service.name, service.name)
