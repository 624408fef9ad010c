"""Policies as they are set: by a version that comes in force, by a user, and taken away. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from libs.db.changes import Changes, Record
from libs.domain.errors import InvalidSpec, NotFound
from libs.domain.records import Event, Service, ServiceVersion
from libs.domain.scaling import Autoscaler
from libs.domain.states import EventKind
from libs.spec import ServiceSpec, parse_autoscaler, parse_cronscaler
from libs.spec.autoscaler import Autoscaler as AutoscalerSpec
from libs.spec.scaling import merged_autoscaler
from services.scheduler.admin.writing import changeable, resized, service_event
from services.scheduler.scaling.history import BY_HAND, Cause, scaled
from services.scheduler.scaling.policies import (
    autoscaler_of,
    autoscaler_read,
    autoscaler_record,
    cronscaler_record,
    in_words,
    may_sleep,
)
from services.scheduler.scaling.warned import autoscaler_notices, schedule_notices
from services.scheduler.world import World

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Set:
    """What setting a policy changes, and what its author must hear about it."""

    changes: Changes
    warnings: tuple[str, ...] = ()


# --- by a user


def set_autoscaler(world: World, name: str, policy_json: str, merge: bool, now: datetime) -> Set:
    """Raises NotFound, InvalidSpec, FailedPrecondition."""
    service = changeable(world, name, "its autoscaler cannot be changed")
    known = world.autoscalers.get(name)
    given: str | Document = policy_json
    if merge and known is not None:
        given = merged_autoscaler(known.policy_json, policy_json)
    parsed = parse_autoscaler(given)
    notices = (*parsed.warnings, *autoscaler_notices(world, name, parsed.autoscaler))
    warnings = tuple(str(each) for each in notices)
    record = autoscaler_record(name, parsed.autoscaler.to_json(), known, now)
    if record == known:
        return Set(Changes(), warnings)
    told = service_event(service, "AutoscalerSet", in_words(parsed.autoscaler), now)
    return Set(_bounded(service, record, told, now), warnings)


def remove_autoscaler(world: World, name: str, now: datetime) -> Changes:
    """A service that sleeps is woken: nothing else would do it any more. One that is stopped as well has
    instances once it is started. Raises NotFound, FailedPrecondition."""
    service = changeable(world, name, "its autoscaler cannot be removed")
    known = world.autoscalers.get(name)
    if known is None:
        raise NotFound(f"service {name!r} has no autoscaler")
    why = f"it keeps {service.wanted} instances until they are changed"
    told = service_event(service, "AutoscalerRemoved", why, now)
    if service.wanted:
        return Changes(delete=(known,), events=(told,))
    woken = _woken(service, autoscaler_read(known.policy_json))
    cause = Cause(BY_HAND, "its autoscaler was removed while it slept, and nothing else would wake it")
    event = scaled(service, woken.wanted, cause, now)
    return Changes(put=(replace(woken, updated_at=now),), delete=(known,), events=(told, event))


def set_cronscaler(world: World, name: str, policy_json: str, now: datetime) -> Set:
    """Raises NotFound, InvalidSpec, FailedPrecondition."""
    service = changeable(world, name, "its schedule cannot be changed")
    parsed, known = parse_cronscaler(policy_json), world.cronscalers.get(name)
    notices = (*parsed.warnings, *schedule_notices(world, name, parsed.cronscaler, now))
    warnings = tuple(str(each) for each in notices)
    record = cronscaler_record(name, parsed.cronscaler, known, now)
    if record == known:
        return Set(Changes(), warnings)
    jobs = ", ".join(f"{job.name} to {job.target_size}" for job in parsed.cronscaler.scale_jobs)
    told = service_event(service, "ScheduleSet", jobs, now)
    return Set(Changes(put=(record,), events=(told,)), warnings)


def remove_cronscaler(world: World, name: str, now: datetime) -> Changes:
    """Raises NotFound, FailedPrecondition."""
    service = changeable(world, name, "its schedule cannot be removed")
    known = world.cronscalers.get(name)
    if known is None:
        raise NotFound(f"service {name!r} has no schedule")
    told = service_event(service, "ScheduleRemoved", "its size follows no schedule any more", now)
    return Changes(delete=(known,), events=(told,))


# --- by a version


def first_size(spec: ServiceSpec) -> int:
    """How many instances a new service begins with."""
    wanted = spec.metadata.instance
    return spec.autoscaler.bounded(wanted) if spec.autoscaler is not None else wanted


def with_policies(world: World, changes: Changes, now: datetime) -> Changes:
    """The changes with what becomes of policies when other versions come in force, and services are gone.

    A version brings its autoscaler and its schedule along where they differ from those of the version before;
    what was set between versions stays otherwise.
    """
    for record in changes.put:
        if isinstance(record, Service):
            changes = _with_policies_of(world, changes, record, now)
    for record in changes.delete:
        if isinstance(record, Service):
            kept = (world.autoscalers.get(record.name), world.cronscalers.get(record.name))
            gone = tuple(each for each in kept if each is not None and each not in changes.delete)
            changes = replace(changes, delete=(*changes.delete, *gone))
    return changes


def _with_policies_of(world: World, changes: Changes, service: Service, now: datetime) -> Changes:
    before = world.services.get(service.name)
    if before is not None and before.version == service.version:
        return changes
    old = _document(world, changes, before) if before is not None else {}
    new = _document(world, changes, service)
    for key, with_policy in (("autoscaler", _with_autoscaler), ("cronScaler", _with_cronscaler)):
        if old.get(key) == new.get(key):
            continue
        try:
            changes = with_policy(world, changes, service, new.get(key), now)
        except InvalidSpec as refused:
            # Accepted by an earlier release. A version can be gone back to all the same.
            why = f"what it had before stays in force: {refused}"
            told = service_event(service, "PolicyRefused", why, now, EventKind.WARNING)
            changes = replace(changes, events=(*changes.events, told))
    return changes


def _with_autoscaler(
    world: World, changes: Changes, service: Service, document: Document | None, now: datetime
) -> Changes:
    known = world.autoscalers.get(service.name)
    if document:
        record = autoscaler_record(service.name, document, known, now)
        bounded = _resized(service, autoscaler_read(record.policy_json).bounded(service.wanted))
        return _joined(changes, service, bounded, put=record)
    if known is None:
        return changes
    woken = service if service.wanted else _woken(service, autoscaler_read(known.policy_json))
    return _joined(changes, service, woken, delete=known)


def _with_cronscaler(
    world: World, changes: Changes, service: Service, document: Document | None, now: datetime
) -> Changes:
    known = world.cronscalers.get(service.name)
    if document and document.get("ScaleJobs"):
        scaler = parse_cronscaler(document).cronscaler
        return replace(changes, put=(*changes.put, cronscaler_record(service.name, scaler, known, now)))
    return replace(changes, delete=(*changes.delete, known)) if known is not None else changes


def _joined(
    changes: Changes,
    service: Service,
    after: Service,
    *,
    put: Record | None = None,
    delete: Record | None = None,
) -> Changes:
    records = tuple(after if each is service else each for each in changes.put)
    return replace(
        changes,
        put=(*records, *((put,) if put is not None else ())),
        delete=(*changes.delete, *((delete,) if delete is not None else ())),
    )


def _document(world: World, changes: Changes, service: Service) -> Document:
    wanted = (service.name, service.version)
    made = (
        each
        for each in changes.put
        if isinstance(each, ServiceVersion) and (each.service, each.number) == wanted
    )
    version = next(made, None) or world.version(*wanted)
    document: Document = json.loads(version.spec_json)
    return document


# --- sizes


def size_asked(
    world: World, service: Service, spec: ServiceSpec, stored: ServiceVersion, replaces: bool
) -> int:
    """How many instances an updated document asks for; within the bounds of its autoscaler, if it has one.

    A whole file (`replaces`) that says what the version has said all along asks for no change of what the
    autoscaler has made of it.
    """
    scaler = spec.autoscaler
    if _autoscaler_json(spec) == json.loads(stored.spec_json).get("autoscaler"):
        scaler = autoscaler_of(world, service.name)
    asked = spec.metadata.instance
    if scaler is None:
        return asked
    said_before = json.loads(stored.spec_json)["metadata"].get("instance", 1)
    same = asked == service.wanted or (replaces and asked == said_before)
    return service.wanted if same else scaler.bounded(asked)


def scaled_by_hand(
    world: World, service: Service, wanted: int, why: str, leave_first: tuple[str, ...], now: datetime
) -> Changes:
    """A size that a user asks for. No bound holds it; an autoscaler may change it again."""
    why = why or f"scaled from {service.wanted} to {wanted} instances by hand"
    if service.name in world.autoscalers:
        why = f"{why}; its autoscaler may change it again"
    event = scaled(service, wanted, Cause(BY_HAND, why), now)
    sleeps = may_sleep(world, service.name)
    after = _resized(service, wanted) if sleeps else resized(service, wanted)
    after = replace(after, leave_first=leave_first, updated_at=now, edits=service.edits + 1)
    return Changes(put=(after,), events=(event,))


def _autoscaler_json(spec: ServiceSpec) -> dict[str, object] | None:
    return spec.autoscaler.to_json() if spec.autoscaler is not None else None


def _bounded(service: Service, record: Autoscaler, told: Event, now: datetime) -> Changes:
    scaler = autoscaler_read(record.policy_json)
    wanted = scaler.bounded(service.wanted)
    if wanted == service.wanted:
        return Changes(put=(record,), events=(told,))
    bound = f"at least {scaler.min}" if wanted > service.wanted else f"at most {scaler.max}"
    cause = Cause(BY_HAND, f"its autoscaler was set to {bound}")
    event = scaled(service, wanted, cause, now)
    return Changes(put=(record, replace(_resized(service, wanted), updated_at=now)), events=(told, event))


def _woken(service: Service, scaler: AutoscalerSpec) -> Service:
    return _resized(service, max(1, scaler.behavior.on_zero.scale_up_activation_replicas))


def _resized(service: Service, wanted: int) -> Service:
    if wanted == service.wanted:
        return service
    return replace(service, wanted=wanted, leave_first=())
