"""Policies out of the JSON in which the scheduler keeps them."""

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from libs.spec import parse_autoscaler, parse_cronscaler
from libs.spec.cron import parse, zone_of
from services.autoscaler.cron import Job, Timetable
from services.autoscaler.policies.model import Burst, Policy, Target


@lru_cache(maxsize=16_384)
def policy_of(autoscaler_json: str) -> Policy | None:
    """The policy in an autoscaler's JSON; None for the empty text. Raises InvalidSpec."""
    if not autoscaler_json:
        return None
    scaler = parse_autoscaler(autoscaler_json).autoscaler
    behavior = scaler.behavior
    return Policy(
        min=scaler.min,
        max=scaler.max,
        targets=tuple(
            Target(each.metric_name, float(each.threshold), each.service or "") for each in scaler.thresholds
        ),
        measure_s=behavior.measure_seconds,
        up_s=behavior.scale_up.stabilization_window_seconds,
        down_s=behavior.scale_down.stabilization_window_seconds,
        burst=Burst(behavior.burst.enabled, behavior.burst.window_seconds, behavior.burst.threshold_percent),
        grace_s=behavior.on_zero.scale_down_grace_period_seconds,
        activation=behavior.on_zero.scale_up_activation_replicas,
    )


def timetable_of(
    cronscaler_json: str, since: datetime, last_runs: Mapping[str, datetime]
) -> Timetable | None:
    """The schedule in a cronscaler's JSON; None for the empty text. Raises InvalidSpec.

    `since`: when it was set; `last_runs`: when each job was due last, as far as something became of it.
    """
    if not cronscaler_json:
        return None
    return _timetable(cronscaler_json, since, tuple(sorted(last_runs.items())))


@lru_cache(maxsize=4_096)
def _timetable(text: str, since: datetime, last_runs: tuple[tuple[str, datetime], ...]) -> Timetable:
    scaler = parse_cronscaler(text).cronscaler
    ran = dict(last_runs)
    jobs = (
        Job(
            name=each.name,
            schedule=parse(each.schedule),
            target=each.target_size,
            zone=zone_of(each.time_zone),
            once=each.run_once,
            last=ran.get(each.name),
        )
        for each in scaler.scale_jobs
    )
    excluded = tuple(parse(each, "ExcludeDates") for each in scaler.exclude_dates)
    return Timetable(tuple(jobs), excluded, since).waiting()
