"""Policies from before anything followed them, which the upgrade has taken out of documents. Pure.

They are read once, by the first start: in force from then on, or gone with a sentence where they say what
this release cannot follow. No size changes with that; the autoscaler decides on it when it looks.
"""

from dataclasses import replace
from datetime import datetime

from libs.db.changes import Changes, Record
from libs.domain.errors import InvalidSpec
from libs.domain.records import Event
from libs.domain.scaling import UNREAD, Autoscaler
from libs.domain.states import EventKind
from libs.spec import parse_autoscaler, parse_cronscaler
from services.scheduler.admin.writing import service_event
from services.scheduler.scaling.policies import (
    Policy,
    autoscaler_record,
    cronscaler_record,
    in_words,
    jobs_in_words,
)
from services.scheduler.world import World


def policies_read(world: World, now: datetime) -> Changes:
    """Nothing after the first time."""
    put: list[Record] = []
    delete: list[Record] = []
    events: list[Event] = []
    policies: list[Policy] = [*world.autoscalers.values(), *world.cronscalers.values()]
    for known in policies:
        service = world.services.get(known.service)
        if known.updated_at != UNREAD or service is None:
            continue
        try:
            record, reason, why = _read(known, now)
        except InvalidSpec as refused:
            delete.append(known)
            why = f"its service.json names a policy that is not followed: {refused}"
            events.append(service_event(service, "PolicyRefused", why, now, EventKind.WARNING))
        else:
            put.append(record)
            events.append(service_event(service, reason, f"{why}; its service.json names it", now))
    return Changes(tuple(put), tuple(delete), tuple(events))


def _read(known: Policy, now: datetime) -> tuple[Policy, str, str]:
    """The record as though it were set now, and the event of that. Raises InvalidSpec."""
    if isinstance(known, Autoscaler):
        policy = parse_autoscaler(known.policy_json).autoscaler
        made = autoscaler_record(known.service, policy.to_json(), None, now)
        return replace(made, revision=known.revision), "AutoscalerSet", in_words(policy)
    schedule = parse_cronscaler(known.policy_json).cronscaler
    begun = cronscaler_record(known.service, schedule, None, now)
    return replace(begun, revision=known.revision), "ScheduleSet", jobs_in_words(schedule)
