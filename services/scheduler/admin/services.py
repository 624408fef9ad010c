"""What can be done to a service: each a decision committed in one go."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from libs.db.changes import Changes
from libs.domain.errors import (
    AlreadyExists,
    Conflict,
    FailedPrecondition,
    InvalidRequest,
    InvalidSpec,
)
from libs.domain.records import Event, Service, ServiceVersion
from libs.domain.states import EventKind, ServiceState
from services.scheduler.admin.specs import (
    Accepted,
    accept,
    masked,
    same_but_for_instances,
    updated,
    with_instances,
)
from services.scheduler.facts import facts
from services.scheduler.ledger import Ledger
from services.scheduler.world import World

MOST_INSTANCES = 1000


class Services:
    """Safe to call concurrently; every call is answered from what was committed."""

    def __init__(self, ledger: Ledger, clock: Callable[[], datetime], traceparent: Callable[[], str]) -> None:
        self._ledger, self._clock, self._traceparent = ledger, clock, traceparent

    async def create(self, spec_json: str, idempotency_key: str) -> tuple[Service, tuple[str, ...]]:
        """Raises InvalidSpec, AlreadyExists, FailedPrecondition while one of that name is being deleted."""
        warnings: list[str] = []
        named: list[str] = []

        def decide(world: World) -> Changes:
            taken = accept(spec_json, world)
            name = taken.spec.name
            named.append(name)
            warnings[:] = taken.warnings
            known = world.services.get(name)
            if known is not None:
                _same_call_again(world, known, taken, idempotency_key)
                return Changes()
            return self._created(taken, idempotency_key)

        await self._ledger.change(decide)
        return self._ledger.world.service(named[0]), tuple(warnings)

    async def update(
        self, name: str, change: str, mode_replace: bool, if_revision: int
    ) -> tuple[Service, tuple[str, ...]]:
        """Raises NotFound, InvalidSpec, Conflict, FailedPrecondition."""
        warnings: list[str] = []

        def decide(world: World) -> Changes:
            service = _changeable(world, name)
            if if_revision and service.revision != if_revision:
                newest = service.revision
                raise Conflict(f"service {name!r} has revision {newest} by now, not {if_revision}")
            stored = with_instances(world.version(name, service.version).spec_json, service.wanted)
            taken = accept(updated(stored, change, mode_replace), world, service.token)
            if taken.spec.name != name:
                raise InvalidSpec("metadata.name", taken.spec.name, f"{name!r}; a service keeps its name")
            warnings[:] = taken.warnings
            return self._updated(world, service, taken, "the service was modified")

        await self._ledger.change(decide)
        return self._ledger.world.service(name), tuple(warnings)

    async def roll_to(self, name: str, number: int) -> Service:
        """A new version with the spec of an older one. Raises NotFound, InvalidRequest."""

        def decide(world: World) -> Changes:
            service = _changeable(world, name)
            if number == service.version:
                raise InvalidRequest("to_version", number, "a version other than the one in force")
            older = world.version(name, number)
            taken = accept(with_instances(older.spec_json, service.wanted), world, service.token)
            return self._updated(world, service, taken, f"rolled back to version {number}")

        await self._ledger.change(decide)
        return self._ledger.world.service(name)

    async def scale(self, name: str, instances: int, why: str) -> Service:
        """Raises NotFound, InvalidRequest, FailedPrecondition."""
        if instances > MOST_INSTANCES:
            raise InvalidRequest("instances", instances, f"at most {MOST_INSTANCES}")

        def decide(world: World) -> Changes:
            service = _changeable(world, name)
            if service.wanted == instances:
                return Changes()
            reason = why or f"scaled from {service.wanted} to {instances} instances by hand"
            return self._written(replace(service, wanted=instances), "ServiceScaled", reason)

        await self._ledger.change(decide)
        return self._ledger.world.service(name)

    async def stop(self, name: str) -> Service:
        return await self._set(name, "ServiceStopAsked", "a stop was asked for", stopped=True)

    async def start(self, name: str) -> Service:
        return await self._set(
            name, "ServiceStartAsked", "a start was asked for", stopped=False, state=ServiceState.CREATING
        )

    async def restart(self, name: str) -> Service:
        """Every instance made before now is replaced, successors first.

        Raises NotFound, and FailedPrecondition when the service is stopped.
        """
        now = self._clock()

        def decide(world: World) -> Changes:
            service = _changeable(world, name)
            if service.stopped:
                raise FailedPrecondition(f"service {name!r} is stopped; start it instead")
            return self._written(
                replace(service, restarted_at=now), "ServiceRestartAsked", "a restart was asked for"
            )

        await self._ledger.change(decide)
        return self._ledger.world.service(name)

    async def delete(self, name: str) -> None:
        """Raises NotFound. Repeating it while the service is leaving changes nothing."""

        def decide(world: World) -> Changes:
            service = world.service(name)
            if service.deleting:
                return Changes()
            gone = replace(service, deleting=True, state=ServiceState.DELETING)
            return self._written(gone, "ServiceDeleteAsked", "a deletion was asked for")

        await self._ledger.change(decide)

    async def _set(
        self, name: str, reason: str, why: str, *, stopped: bool, state: ServiceState | None = None
    ) -> Service:
        def decide(world: World) -> Changes:
            service = _changeable(world, name)
            if service.stopped is stopped:
                return Changes()
            changed = replace(service, stopped=stopped, state=state or service.state)
            return self._written(changed, reason, why)

        await self._ledger.change(decide)
        return self._ledger.world.service(name)

    def _created(self, taken: Accepted, idempotency_key: str) -> Changes:
        now, name = self._clock(), taken.spec.name
        service = Service(
            name=name,
            id=f"svc-{secrets.token_hex(6)}",
            version=1,
            wanted=taken.spec.metadata.instance,
            token=taken.token,
            created_at=now,
            updated_at=now,
            resource_group=facts(taken.spec).resource_group,
            labels=dict(taken.spec.labels),
            traceparent=self._traceparent(),
            idempotency_key=idempotency_key,
            why="accepted",
        )
        version = ServiceVersion(name, 1, taken.spec_json, now, "the service was created")
        created = Event(
            now, EventKind.NORMAL, "ServiceCreated", "version 1 was accepted", "service", name, name
        )
        return Changes((service, version), (), (created, *self._warned(name, taken)))

    def _updated(self, world: World, service: Service, taken: Accepted, why: str) -> Changes:
        now, wanted = self._clock(), taken.spec.metadata.instance
        stored = world.version(service.name, service.version).spec_json
        changed = replace(service, wanted=wanted, labels=dict(taken.spec.labels), token=taken.token)
        if same_but_for_instances(stored, taken.spec_json):
            if changed == service:
                return Changes()
            scaled = f"scaled from {service.wanted} to {wanted} instances by an update"
            return self._written(changed, "ServiceScaled", scaled)
        number = max(world.versions[service.name]) + 1
        version = ServiceVersion(service.name, number, taken.spec_json, now, why)
        changed = replace(
            changed,
            version=number,
            updated_at=now,
            resource_group=facts(taken.spec).resource_group,
            traceparent=self._traceparent(),
        )
        event = Event(
            now,
            EventKind.NORMAL,
            "ServiceUpdated",
            f"version {number}: {why}",
            "service",
            service.name,
            service.name,
        )
        return Changes((changed, version), (), (event, *self._warned(service.name, taken)))

    def _written(self, service: Service, reason: str, why: str) -> Changes:
        now = self._clock()
        event = Event(now, EventKind.NORMAL, reason, why, "service", service.name, service.name)
        return Changes(put=(replace(service, updated_at=now),), events=(event,))

    def _warned(self, name: str, taken: Accepted) -> list[Event]:
        now = self._clock()
        return [
            Event(now, EventKind.WARNING, "SpecWarning", warning, "service", name, name)
            for warning in taken.warnings
        ]


def _changeable(world: World, name: str) -> Service:
    service = world.service(name)
    if service.deleting:
        raise FailedPrecondition(f"service {name!r} is being deleted")
    return service


def _same_call_again(world: World, known: Service, taken: Accepted, key: str) -> None:
    if known.deleting:
        raise FailedPrecondition(f"service {known.name!r} is being deleted; create it again once it is gone")
    if key and known.idempotency_key == key:
        first = world.version(known.name, 1).spec_json
        if masked(first) == masked(taken.spec_json):
            return
    raise AlreadyExists(
        f"there is a service {known.name!r} already; change it with `easel modify {known.name} -s FILE`"
    )
