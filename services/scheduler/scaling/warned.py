"""What the author of a policy or a schedule should know that only the world and the clock tell. Pure."""

from collections.abc import Iterator
from datetime import datetime

from libs.domain.errors import InvalidSpec
from libs.spec import ServiceSpec, parse_stored
from libs.spec.autoscaler import Autoscaler, CronScaler
from libs.spec.refusal import path_of
from libs.spec.scaling_rules import never_shown, own_metric_notices, strategies_by_path
from libs.spec.suggestions import Notice
from services.scheduler.scaling.policies import cronscaler_record, next_run
from services.scheduler.world import World


def notices_of(world: World, spec: ServiceSpec, now: datetime) -> Iterator[Notice]:
    """Of a whole service.json, beside what its parsing told."""
    if spec.autoscaler is not None:
        yield from _of_other_services(world, spec.name, spec.autoscaler)
    if spec.cron_scaler is not None:
        yield from schedule_notices(world, spec.name, spec.cron_scaler, now)


def autoscaler_notices(world: World, name: str, scaler: Autoscaler) -> Iterator[Notice]:
    """Of a policy by itself: metrics that will never be there as things are."""
    if (spec := _spec_of(world, name)) is not None:
        yield from own_metric_notices(scaler, spec)
    yield from _of_other_services(world, name, scaler)


def schedule_notices(world: World, name: str, scaler: CronScaler, now: datetime) -> Iterator[Notice]:
    """Jobs that have not run, and never will."""
    record = cronscaler_record(name, scaler, world.cronscalers.get(name), now)
    open_jobs = {job.name for job in record.jobs if not job.last_run_ms}
    for index, job in enumerate(scaler.scale_jobs):
        if job.name in open_jobs and next_run(scaler, job, now) is None:
            path = path_of(("cronScaler", "ScaleJobs", index, "Schedule"))
            yield Notice(path, f"no such time is to come, so the job {job.name[:80]!r} never runs")


def _of_other_services(world: World, name: str, scaler: Autoscaler) -> Iterator[Notice]:
    for path, strategy in strategies_by_path(scaler):
        other = strategy.service
        if other is None or other == name:
            continue
        if other not in world.services:
            yield Notice(
                path_of((*path[:-1], "service")),
                f"there is no service {other!r}, and nothing is scaled in before there is one",
            )
        elif (spec := _spec_of(world, other)) and (why := never_shown(strategy.metric_name, spec)):
            yield Notice(path_of(path), why)


def _spec_of(world: World, name: str) -> ServiceSpec | None:
    """None where it cannot be read any more: another release stored it."""
    service = world.services.get(name)
    if service is None:
        return None
    try:
        return parse_stored(world.version(name, service.version).spec_json).spec
    except InvalidSpec:
        return None
