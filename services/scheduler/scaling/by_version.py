"""Policies that come in force with versions, and go with their services. Pure."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from libs.db.changes import Changes
from libs.domain.errors import InvalidSpec
from libs.domain.records import Service, ServiceVersion
from libs.domain.scaling import Autoscaler, Cronscaler
from libs.domain.states import EventKind
from libs.spec import parse_cronscaler
from services.scheduler.admin.writing import service_event
from services.scheduler.scaling.policies import (
    AUTOSCALER,
    CRONSCALER,
    Policy,
    autoscaler_read,
    autoscaler_record,
    cronscaler_record,
    policy_of,
)
from services.scheduler.scaling.sizes import Resized, awake, bounded
from services.scheduler.scaling.way_back import put_back, remembered, to_put_back, told_of
from services.scheduler.world import World

Document = Mapping[str, Any]


def with_policies(world: World, changes: Changes, now: datetime) -> Changes:
    """The changes with what becomes of policies when other versions come in force, and services are gone.

    A version brings its autoscaler and its schedule along where they differ from those of the version before;
    what was set between versions stays otherwise. The way back from an update puts back what it took the
    place of.
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
    kept = to_put_back(world, service)
    brought: dict[str, Policy | None] = {}
    for key in (AUTOSCALER, CRONSCALER):
        known = policy_of(world, service.name, key)
        try:
            if (entry := kept.get(key)) is not None:
                policy = put_back(service.name, entry, known)
                told = told_of(service, entry, before.version if before else 0, now)
                changes = _joined(changes, service, known, policy, now)
                if policy != known:
                    changes = replace(changes, events=(*changes.events, told))
            elif old.get(key) != new.get(key):
                brought[key] = known
                policy = _asked(service.name, key, new.get(key), known, now)
                changes = _joined(changes, service, known, policy, now)
                brought[key] = policy
        except InvalidSpec as refused:
            # Accepted by an earlier release. A version can be gone back to all the same.
            why = f"what it had before stays in force: {refused}"
            told = service_event(service, "PolicyRefused", why, now, EventKind.WARNING)
            changes = replace(changes, events=(*changes.events, told))
    return remembered(world, changes, service.name, brought)


def _asked(
    service: str, key: str, document: Document | None, known: Policy | None, now: datetime
) -> Policy | None:
    """What a document asks for, written over what is known; None for nothing."""
    if key == CRONSCALER:
        if not document or not document.get("ScaleJobs"):
            return None
        schedule = known if isinstance(known, Cronscaler) else None
        return cronscaler_record(service, parse_cronscaler(document).cronscaler, schedule, now)
    scaler = known if isinstance(known, Autoscaler) else None
    return autoscaler_record(service, document, scaler, now) if document else None


def _joined(
    changes: Changes, service: Service, known: Policy | None, policy: Policy | None, now: datetime
) -> Changes:
    """With another policy, and the size within it; who slept by one that goes is woken."""
    sized = Resized(service)
    if isinstance(policy, Autoscaler):
        sized = bounded(service, autoscaler_read(policy.policy_json), now)
    elif isinstance(known, Autoscaler):
        sized = awake(service, autoscaler_read(known.policy_json), now)
    records = tuple(sized.service if each is service else each for each in changes.put)
    return replace(
        changes,
        put=(*records, *((policy,) if policy is not None and policy != known else ())),
        delete=(*changes.delete, *((known,) if known is not None and policy is None else ())),
        events=(*changes.events, *sized.events),
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
