"""What is kept of how a service changes its size: read, set, moved and removed. Pure."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, TypeAlias

from libs.domain.scaling import Autoscaler, CronJobState, Cronscaler
from libs.spec import cron, parse_autoscaler, parse_cronscaler
from libs.spec.autoscaler import Autoscaler as AutoscalerSpec
from libs.spec.autoscaler import CronScaler as CronscalerSpec
from libs.spec.autoscaler import ScaleJob
from services.scheduler.world import World

Policy: TypeAlias = Autoscaler | Cronscaler
# The two kinds of policies, by their keys of service.json.
AUTOSCALER, CRONSCALER = "autoscaler", "cronScaler"

# No schedule rests for longer than this.
_LONGEST_REST = timedelta(days=366)


@lru_cache(maxsize=32_768)
def autoscaler_read(policy_json: str) -> AutoscalerSpec:
    """What a stored policy says; it was accepted before, so it parses."""
    return parse_autoscaler(policy_json).autoscaler


@lru_cache(maxsize=32_768)
def cronscaler_read(policy_json: str) -> CronscalerSpec:
    """What a stored schedule says."""
    return parse_cronscaler(policy_json).cronscaler


def autoscaler_of(world: World, service: str) -> AutoscalerSpec | None:
    """The policy in force of a service."""
    record = world.autoscalers.get(service)
    return autoscaler_read(record.policy_json) if record is not None else None


def policy_of(world: World, service: str, key: str) -> Policy | None:
    """The record of a service's policy of one kind."""
    return world.autoscalers.get(service) if key == AUTOSCALER else world.cronscalers.get(service)


def may_sleep(world: World, service: str) -> bool:
    """Whether the service may have no instance and be in service all the same."""
    scaler = autoscaler_of(world, service)
    return scaler is not None and scaler.min == 0


def autoscaler_record(
    service: str, document: Mapping[str, Any], known: Autoscaler | None, now: datetime
) -> Autoscaler:
    """The record of an accepted policy in the place of what is `known`: that one where nothing differs."""
    text = json.dumps(document, sort_keys=True)
    if known is None:
        return Autoscaler(service, text, now, now)
    return known if known.policy_json == text else replace(known, policy_json=text, updated_at=now)


def cronscaler_record(
    service: str, scaler: CronscalerSpec, known: Cronscaler | None, now: datetime
) -> Cronscaler:
    """The record of an accepted schedule in the place of what is `known`; jobs that stay keep their state."""
    text = json.dumps(scaler.to_json(), sort_keys=True)
    if known is None:
        return Cronscaler(service, text, now, now, _begun(scaler))
    if known.policy_json == text:
        return known
    return replace(known, policy_json=text, updated_at=now, jobs=with_states(_begun(scaler), scaler, known))


def with_states(
    jobs: Sequence[CronJobState], scaler: CronscalerSpec, known: Cronscaler
) -> tuple[CronJobState, ...]:
    """The jobs of a schedule, each with the state that `known` has of the very same job."""
    before = {job.name: job for job in cronscaler_read(known.policy_json).scale_jobs}
    states = {state.name: state for state in known.jobs if state.name in before}
    same = {job.name for job in scaler.scale_jobs if before.get(job.name) == job}
    return tuple(states.get(each.name, each) if each.name in same else each for each in jobs)


def moved(record: Autoscaler, least: int, most: int) -> Autoscaler:
    """With other bounds, as the schedule asks; what a user has set stays as old as it is."""
    document = {**json.loads(record.policy_json), "min": least, "max": most}
    return replace(record, policy_json=json.dumps(document, sort_keys=True))


def next_run(scaler: CronscalerSpec, job: ScaleJob, after: datetime) -> datetime | None:
    """When a job is due next, past the days on which the schedule rests; None when that is never."""
    schedule, zone = cron.parse(job.schedule), cron.zone_of(job.time_zone)
    resting = [cron.parse(each) for each in scaler.exclude_dates]
    first = due = schedule.next_after(after, zone)
    while first is not None and due is not None and due - first <= _LONGEST_REST:
        day = due.astimezone(zone).date()
        if not any(each.fires_on(day, zone) for each in resting):
            return due
        # The rest of that day is over with it.
        end = cron.instant(datetime.combine(day + timedelta(days=1), datetime.min.time()), zone)
        due = schedule.next_after(end - timedelta(seconds=1), zone)
    return due if not resting else None


def in_words(scaler: AutoscalerSpec) -> str:
    """Such as "1 to 10 instances, by qps 10 and cpu 50"."""
    named = " and ".join(f"{each.metric_name} {each.threshold:g}" for each in scaler.thresholds)
    bounds = f"{scaler.min} to {scaler.max} instances"
    return f"{bounds}, by {named}" if named else bounds


def jobs_in_words(scaler: CronscalerSpec) -> str:
    """Such as "morning to 10, evening to 2"."""
    return ", ".join(f"{job.name} to {job.target_size}" for job in scaler.scale_jobs)


def _begun(scaler: CronscalerSpec) -> tuple[CronJobState, ...]:
    return tuple(CronJobState(job.name) for job in scaler.scale_jobs)
