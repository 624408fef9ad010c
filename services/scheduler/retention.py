"""When a service that does not run is deleted, and how its owner is warned before. Pure."""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from libs.db.changes import Changes
from libs.domain.records import Event, Service
from libs.domain.states import EventKind, SafetyLock, ServiceState
from services.scheduler.scaling.policies import may_sleep
from services.scheduler.world import World

# Days before the deletion.
WARNINGS = (30, 7, 1)
_DAY = timedelta(days=1)
# Stands for the last warning where a lock kept the service and that was said.
_KEPT = -1


def delete_at(service: Service, after: timedelta) -> datetime | None:
    """When a service is deleted unless it runs before; None when that is never."""
    locked = service.safety_lock is not SafetyLock.NONE
    if not after or service.idle_since is None or service.deleting or locked:
        return None
    return service.idle_since + after


def in_service(world: World, service: str) -> bool:
    """Whether it runs: an instance of it serves, or it sleeps and answers when it is called."""
    sleeps = not world.services[service].wanted and may_sleep(world, service)
    return sleeps or any(instance.serves for instance in world.instances_of(service))


def retained(
    services: Iterable[Service], serving: Callable[[str], bool], after: timedelta, now: datetime
) -> Changes:
    """What follows from how long each service has not been running; `after` zero deletes none.

    A service runs while it is `serving`. None is deleted without a warning the day before,
    as far as there is a day.
    """
    put: list[Service] = []
    events: list[Event] = []
    for service in services:
        if service.deleting:
            continue
        kept, event = _looked_at(service, serving(service.name), after, now)
        if kept != service:
            put.append(kept)
        if event is not None:
            events.append(event)
    return Changes(put=tuple(put), events=tuple(events))


def _looked_at(
    service: Service, serves: bool, after: timedelta, now: datetime
) -> tuple[Service, Event | None]:
    if serves:
        return replace(service, idle_since=None, idle_warned_days=0), None
    if service.idle_since is None:
        return replace(service, idle_since=now, idle_warned_days=0), None
    left = service.idle_since + after - now
    if not after or left > WARNINGS[0] * _DAY:
        return service, None
    if service.safety_lock is not SafetyLock.NONE:
        return _kept_by_lock(service, left, after, now)
    if left <= timedelta():
        return _overdue(service, after, now)
    due = min((days for days in WARNINGS if left <= days * _DAY < after), default=0)
    if not due or 0 < service.idle_warned_days <= due:
        return service, None
    return _warned(service, due, left, now)


def _overdue(service: Service, after: timedelta, now: datetime) -> tuple[Service, Event | None]:
    last = WARNINGS[-1]
    if service.idle_warned_days != last and after > last * _DAY:
        # The scheduler was away, the lock on or the setting longer: the owner still gets the last warning.
        postponed = replace(service, idle_since=now + last * _DAY - after)
        return _warned(postponed, last, last * _DAY, now)
    why = f"it has not been running for {_length(after)}"
    gone = replace(service, deleting=True, state=ServiceState.DELETING, updated_at=now)
    return gone, _event(service, EventKind.WARNING, "IdleServiceDeleted", why, now)


def _warned(service: Service, days: int, left: timedelta, now: datetime) -> tuple[Service, Event]:
    why = (
        f"it is not running, and is deleted in {_length(left)} unless it runs before; "
        f"`easel lock {service.name} dangerous` keeps it"
    )
    warned = replace(service, idle_warned_days=days)
    return warned, _event(service, EventKind.WARNING, "ServiceIdle", why, now)


def _kept_by_lock(
    service: Service, left: timedelta, after: timedelta, now: datetime
) -> tuple[Service, Event | None]:
    if left > timedelta() or service.idle_warned_days == _KEPT:
        return service, None
    lock = service.safety_lock.value
    why = f"it has not been running for {_length(after)}; only its safety lock ({lock}) keeps it"
    said = replace(service, idle_warned_days=_KEPT)
    return said, _event(service, EventKind.NORMAL, "IdleServiceKept", why, now)


def _length(span: timedelta) -> str:
    if span < _DAY:
        return f"{span.total_seconds():g} s"
    days = math.ceil(span / _DAY)
    return "1 day" if days == 1 else f"{days} days"


def _event(service: Service, kind: EventKind, reason: str, why: str, now: datetime) -> Event:
    return Event(now, kind, reason, why, "service", service.name, service.name)
