"""What all writes of a service have in common: who refuses them, and how they are told. Pure."""

from dataclasses import replace
from datetime import datetime

from libs.db.changes import Changes
from libs.domain.errors import FailedPrecondition
from libs.domain.records import Event, Service
from libs.domain.states import EventKind, SafetyLock, ServiceState
from services.scheduler.world import World


def changeable(world: World, name: str, refusal: str = "it cannot be changed") -> Service:
    """The service, when it may be changed. `refusal` says what its lock refuses.

    Raises NotFound, and FailedPrecondition while it is being deleted or locked against every change.
    """
    service = world.service(name)
    if service.deleting:
        raise FailedPrecondition(f"service {name!r} is being deleted")
    if service.safety_lock is SafetyLock.ALL:
        raise _locked(service, refusal)
    return service


def takeable(world: World, name: str, refusal: str) -> Service:
    """Like `changeable`, for what takes the service away from its callers."""
    service = changeable(world, name, refusal)
    if service.safety_lock is SafetyLock.DANGEROUS:
        raise _locked(service, refusal)
    return service


def resized(service: Service, wanted: int) -> Service:
    """With another number of instances; from 0 it begins like one that is started."""
    begins = not service.wanted and wanted and not service.stopped
    return replace(service, wanted=wanted, state=ServiceState.CREATING if begins else service.state)


def written(before: Service, after: Service, reason: str, why: str, now: datetime) -> Changes:
    """The write and its event; what changes the service.json in force also counts as an edit."""
    edited = (before.version, before.wanted, before.labels) != (after.version, after.wanted, after.labels)
    after = replace(after, updated_at=now, edits=before.edits + edited)
    return Changes(put=(after,), events=(service_event(after, reason, why, now),))


def service_event(
    service: Service, reason: str, why: str, now: datetime, kind: EventKind = EventKind.NORMAL
) -> Event:
    return Event(now, kind, reason, why, "service", service.name, service.name)


def _locked(service: Service, refusal: str) -> FailedPrecondition:
    lock, name = service.safety_lock.value, service.name
    return FailedPrecondition(
        f"service {name!r} is locked ({lock}): {refusal}; unlock it with `easel lock {name} none`"
    )
