"""Policies as a user sets them and takes them away. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from libs.db.changes import Changes
from libs.domain.errors import NotFound
from libs.spec import parse_autoscaler, parse_cronscaler
from libs.spec.scaling import merged_autoscaler
from services.scheduler.admin.writing import changeable, service_event
from services.scheduler.scaling.policies import (
    autoscaler_read,
    autoscaler_record,
    cronscaler_record,
    in_words,
    jobs_in_words,
)
from services.scheduler.scaling.sizes import awake, bounded
from services.scheduler.scaling.warned import autoscaler_notices, schedule_notices
from services.scheduler.world import World


@dataclass(frozen=True)
class Set:
    """What setting a policy changes, and what its author must hear about it."""

    changes: Changes
    warnings: tuple[str, ...] = ()


def set_autoscaler(world: World, name: str, policy_json: str, merge: bool, now: datetime) -> Set:
    """Raises NotFound, InvalidSpec, FailedPrecondition."""
    service = changeable(world, name, "its autoscaler cannot be changed")
    known = world.autoscalers.get(name)
    given: str | Mapping[str, Any] = policy_json
    if merge and known is not None:
        given = merged_autoscaler(known.policy_json, policy_json)
    parsed = parse_autoscaler(given)
    notices = (*parsed.warnings, *autoscaler_notices(world, name, parsed.autoscaler))
    warnings = tuple(str(each) for each in notices)
    record = autoscaler_record(name, parsed.autoscaler.to_json(), known, now)
    if record == known:
        return Set(Changes(), warnings)
    told = service_event(service, "AutoscalerSet", in_words(parsed.autoscaler), now)
    sized = bounded(service, autoscaler_read(record.policy_json), now)
    after = () if sized.service is service else (replace(sized.service, updated_at=now),)
    return Set(Changes(put=(record, *after), events=(told, *sized.events)), warnings)


def remove_autoscaler(world: World, name: str, now: datetime) -> Changes:
    """A service that sleeps is woken: nothing else would do it any more. One that is stopped as well has
    instances once it is started. Raises NotFound, FailedPrecondition."""
    service = changeable(world, name, "its autoscaler cannot be removed")
    known = world.autoscalers.get(name)
    if known is None:
        raise NotFound(f"service {name!r} has no autoscaler")
    why = f"it keeps {service.wanted} instances until they are changed"
    told = service_event(service, "AutoscalerRemoved", why, now)
    sized = awake(service, autoscaler_read(known.policy_json), now)
    put = () if sized.service is service else (replace(sized.service, updated_at=now),)
    return Changes(put=put, delete=(known,), events=(told, *sized.events))


def set_cronscaler(world: World, name: str, policy_json: str, now: datetime) -> Set:
    """Raises NotFound, InvalidSpec, FailedPrecondition."""
    service = changeable(world, name, "its schedule cannot be changed")
    parsed, known = parse_cronscaler(policy_json), world.cronscalers.get(name)
    notices = (*parsed.warnings, *schedule_notices(world, name, parsed.cronscaler, now))
    warnings = tuple(str(each) for each in notices)
    record = cronscaler_record(name, parsed.cronscaler, known, now)
    if record == known:
        return Set(Changes(), warnings)
    told = service_event(service, "ScheduleSet", jobs_in_words(parsed.cronscaler), now)
    return Set(Changes(put=(record,), events=(told,)), warnings)


def remove_cronscaler(world: World, name: str, now: datetime) -> Changes:
    """Raises NotFound, FailedPrecondition."""
    service = changeable(world, name, "its schedule cannot be removed")
    known = world.cronscalers.get(name)
    if known is None:
        raise NotFound(f"service {name!r} has no schedule")
    told = service_event(service, "ScheduleRemoved", "its size follows no schedule any more", now)
    return Changes(delete=(known,), events=(told,))
