"""A decision of the autoscaler, stored if what it was computed from still holds. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from libs.db.changes import Changes, Record
from libs.domain.errors import Conflict, FailedPrecondition, InvalidRequest
from libs.domain.records import Event, Service
from libs.domain.scaling import Cronscaler
from libs.domain.states import EventKind
from libs.spec.autoscaler import MAX_REPLICAS
from services.scheduler.admin.writing import changeable, service_event
from services.scheduler.scaling.history import BY_HAND, POLICIES, Cause, scaled
from services.scheduler.scaling.policies import moved
from services.scheduler.world import World

JOB_STATES = ("Succeed", "Failed", "Skipped", "Missed")
_MINUTE_MS = 60_000


@dataclass(frozen=True)
class JobRun:
    """What became of a job of the schedule. `due_ms`: when it was due, in milliseconds since 1970."""

    name: str
    due_ms: int
    state: str
    message: str = ""


@dataclass(frozen=True)
class Decision:
    """What is to be, and what it was made from. `bounds` are None where they stay."""

    service: str
    wanted: int
    expected_wanted: int
    autoscaler_revision: int
    cronscaler_revision: int
    cause: Cause
    leave_first: tuple[str, ...] = ()
    bounds: tuple[int, int] | None = None
    jobs: tuple[JobRun, ...] = ()


def applied(world: World, decision: Decision, now: datetime) -> Changes:
    """Raises NotFound, InvalidRequest, Conflict when it was made from something older, FailedPrecondition for
    a service that is stopped, being deleted or locked against every change but waking. What became of jobs of
    its schedule that change nothing is stored all the same."""
    _refuse_odd(decision)
    service = _changeable(world, decision)
    if service.stopped:
        return _of_stopped(world, service, decision, now)
    _refuse_stale(world, service, decision)
    records: list[Record] = []
    events: list[Event] = []
    if decision.wanted != service.wanted:
        leave_first = known_instances(world, service.name, decision.leave_first)
        after = replace(service, wanted=decision.wanted, leave_first=leave_first, updated_at=now)
        records.append(after)
        events.append(scaled(service, decision.wanted, decision.cause, now))
    moves = _bounds_moved(world, decision)
    jobs = _jobs_told(world, decision)
    records += (*moves, *jobs)
    if jobs and not events and (moves or _worth_telling(world, decision)):
        events.append(_ran(service, decision, now))
    return Changes(put=tuple(records), events=tuple(events))


def _changeable(world: World, decision: Decision) -> Service:
    """A lock holds against those who change a service. One that sleeps wakes all the same: callers wait; and
    jobs that change neither its size nor its bounds are told."""
    service = world.service(decision.service)
    wakes = decision.cause.policy == "zero" and decision.wanted and not service.wanted
    keeps = decision.jobs and decision.wanted == decision.expected_wanted and decision.bounds is None
    if (wakes or keeps) and not service.deleting:
        return service
    return changeable(world, decision.service, "its size cannot be changed")


def _of_stopped(world: World, service: Service, decision: Decision, now: datetime) -> Changes:
    """Its schedule goes on, and is told so; nothing else of it changes, however many are wanted of it."""
    resized = decision.wanted != decision.expected_wanted or decision.bounds is not None
    if resized or not decision.jobs or any(job.state == "Succeed" for job in decision.jobs):
        raise FailedPrecondition(f"service {service.name!r} is stopped")
    _refuse_other_policies(world, service.name, decision)
    told = (_ran(service, decision, now),) if _worth_telling(world, decision) else ()
    return Changes(put=tuple(_jobs_told(world, decision)), events=told)


def known_instances(world: World, service: str, named: Iterable[str]) -> tuple[str, ...]:
    """Those of the named instances that are there, in the same order."""
    known = {instance.id for instance in world.instances_of(service)}
    return tuple(dict.fromkeys(each for each in named if each in known))


def refuse_unknown_instances(world: World, service: Service, named: Sequence[str], leaving: int) -> None:
    """For those that a user names. Raises InvalidRequest."""
    known = set(known_instances(world, service.name, named))
    for each in named:
        if each not in known:
            raise InvalidRequest("instances_to_delete", each, f"an instance of service {service.name!r}")
    if len(set(named)) > max(0, leaving):
        expected = f"at most {max(0, leaving)}, since that many fewer are wanted"
        raise InvalidRequest("instances_to_delete", f"{len(set(named))} instances", expected)


def _refuse_odd(decision: Decision) -> None:
    if decision.wanted > MAX_REPLICAS:
        raise InvalidRequest("wanted", decision.wanted, f"at most {MAX_REPLICAS}")
    if decision.cause.policy not in POLICIES or decision.cause.policy == BY_HAND:
        expected = ", ".join(each for each in POLICIES if each != BY_HAND)
        raise InvalidRequest("policy", decision.cause.policy, f"one of {expected}")
    if not decision.cause.why:
        raise InvalidRequest("why", "", "the sentence of the decision")
    if decision.bounds is not None:
        least, most = decision.bounds
        if not (least <= most <= MAX_REPLICAS and most >= 1):
            expected = f"min up to max, and max from 1 to {MAX_REPLICAS}"
            raise InvalidRequest("bounds", f"{least} to {most}", expected)
    for job in decision.jobs:
        if job.state not in JOB_STATES:
            raise InvalidRequest("cron_jobs.state", job.state, f"one of {', '.join(JOB_STATES)}")


def _refuse_stale(world: World, service: Service, decision: Decision) -> None:
    if service.wanted != decision.expected_wanted:
        raise Conflict(
            f"service {service.name!r} has {service.wanted} wanted instances by now, "
            f"not {decision.expected_wanted}"
        )
    _refuse_other_policies(world, service.name, decision)


def _refuse_other_policies(world: World, name: str, decision: Decision) -> None:
    autoscaler, cronscaler = world.autoscalers.get(name), world.cronscalers.get(name)
    revisions = (
        ("autoscaler", autoscaler.revision if autoscaler else 0, decision.autoscaler_revision),
        ("schedule", cronscaler.revision if cronscaler else 0, decision.cronscaler_revision),
    )
    for what, now_is, was in revisions:
        if now_is != was:
            raise Conflict(f"the {what} of service {name!r} has revision {now_is} by now, not {was}")


def _bounds_moved(world: World, decision: Decision) -> list[Record]:
    known = world.autoscalers.get(decision.service)
    if decision.bounds is None:
        return []
    if known is None:
        raise InvalidRequest("bounds", "{} to {}".format(*decision.bounds), "none without an autoscaler")
    after = moved(known, *decision.bounds)
    return [after] if after != known else []


def _jobs_told(world: World, decision: Decision) -> list[Record]:
    if not decision.jobs:
        return []
    known = world.cronscalers.get(decision.service)
    names = {job.name for job in known.jobs} if known is not None else set()
    for job in decision.jobs:
        if job.name not in names:
            raise InvalidRequest("cron_jobs.name", job.name, "a job of the service's schedule")
    return [_with_runs(known, decision.jobs)] if known is not None else []


def _worth_telling(world: World, decision: Decision) -> bool:
    """Whether runs that change nothing are an event: the first of a minute, and one that ends otherwise than
    the run of its job before. A schedule of every second would push all other events out."""
    known = world.cronscalers.get(decision.service)
    before = {job.name: job for job in known.jobs} if known is not None else {}
    newest = max((job.last_run_ms for job in before.values()), default=0)
    if newest // _MINUTE_MS != max(run.due_ms for run in decision.jobs) // _MINUTE_MS:
        return True
    return any(run.name in before and before[run.name].state != run.state for run in decision.jobs)


def _with_runs(known: Cronscaler, runs: Sequence[JobRun]) -> Cronscaler:
    newest = {run.name: run for run in runs}
    jobs = tuple(
        replace(job, state=run.state, message=run.message, last_run_ms=run.due_ms)
        if (run := newest.get(job.name)) is not None
        else job
        for job in known.jobs
    )
    return replace(known, jobs=jobs)


def _ran(service: Service, decision: Decision, now: datetime) -> Event:
    """A run of the schedule that left the size as it was."""
    well = all(job.state in ("Succeed", "Skipped") for job in decision.jobs)
    kind = EventKind.NORMAL if well else EventKind.WARNING
    return service_event(service, "ScheduleRan", decision.cause.why, now, kind)
