"""What a node should do next: pure, from what is wanted, what runs and what went wrong before."""

from datetime import datetime, timedelta

from libs.domain.causes import Cause
from libs.domain.states import InstanceState
from services.agent.backing_off import back_off, due, shown
from services.agent.observed import Failing, Observed, Trouble, Wanted
from services.agent.runtime.port import Attempt, Finding, Running
from services.agent.steps import End, Hold, Keep, Leave, Plan, Start, Step, Stop
from services.agent.workload import Workload

HEALTHY_AFTER = timedelta(minutes=10)


def plan_node(seen: Observed, now: datetime) -> Plan:
    """Every instance gets the one step that brings it closer to what is wanted of it."""
    steps: list[Step] = []
    gone: list[str] = []
    for wanted in seen.wanted.values():
        step = _step(wanted, seen, now)
        if step is not None:
            steps.append(step)
        elif wanted.stop and wanted.id not in seen.busy:
            gone.append(wanted.id)
    known = seen.running.keys() | seen.busy.keys()
    for unwanted in sorted(known - seen.wanted.keys()):
        stop = _stop(unwanted, seen, "no longer assigned to this node")
        if not _is_stopping(unwanted, seen) or stop.drain < seen.busy[unwanted].drain:
            steps.append(stop)
    return Plan(
        stop=tuple(step for step in steps if isinstance(step, Stop)),
        end=tuple(step for step in steps if isinstance(step, End)),
        start=tuple(step for step in steps if isinstance(step, Start)),
        hold=tuple(step for step in steps if isinstance(step, Hold)),
        keep=tuple(step for step in steps if isinstance(step, Keep)),
        leave=tuple(step for step in steps if isinstance(step, Leave)),
        gone=tuple(gone),
    )


def _step(wanted: Wanted, seen: Observed, now: datetime) -> Step | None:
    running, busy = seen.running.get(wanted.id), seen.busy.get(wanted.id)
    if busy is not None and busy.stopping:
        # It may be told to hurry while it waits for its connections to end.
        return _end_of(wanted, seen) if wanted.stop and wanted.drain < busy.drain else None
    if wanted.workload is None and running is not None and _runs_as_wanted(running, wanted):
        return Leave(running, wanted.epoch) if busy is None else None
    if wanted.stop or wanted.workload is None:
        return _end_of(wanted, seen)
    if busy is not None:
        changed = busy.spec_hash != wanted.spec_hash
        return _stop(wanted.id, seen, "its assignment changed meanwhile", wanted) if changed else None
    if running is None:
        return _first_start(wanted.workload, seen.troubles.get(wanted.id), now)
    return _towards_running(wanted.workload, running, wanted.drain, seen, now)


def _runs_as_wanted(running: Running, wanted: Wanted) -> bool:
    """A secret or a directory that is gone by now takes nothing away from a program that has it already."""
    return not wanted.stop and running.exit is None and running.spec_hash == wanted.spec_hash


def _end_of(wanted: Wanted, seen: Observed) -> Stop | Hold | None:
    exists = wanted.id in seen.running or wanted.id in seen.busy
    if exists:
        return _stop(wanted.id, seen, wanted.refusal or "the scheduler asked for it", wanted)
    if wanted.stop:
        return None
    return Hold(wanted.id, InstanceState.FAILED, wanted.refusal, None, cause=wanted.cause)


def _towards_running(
    workload: Workload, running: Running, drain: timedelta, seen: Observed, now: datetime
) -> Step:
    if running.spec_hash != workload.spec_hash:
        why = "its assignment changed"
        return Stop(workload.id, why, running.grace, running.sigterm, drain or running.grace)
    failing = seen.failing.get(workload.id)
    if failing is not None and failing.started_at != running.started_at:
        failing = None
    if running.exit is not None:
        return _after_exit(workload, running, failing, seen, now)
    if running.run < workload.run:
        return End(workload, running, "its owner asked for a restart", drain or running.grace)
    if failing is None or workload.isolated or workload.crash_block:
        return Keep(workload, running)
    finding = failing.finding
    if back_off(_next_streak(running, seen, now)):
        return End(workload, running, finding.why, running.grace, finding.cause, backs_off=True)
    return End(workload, running, f"{finding.why}; being started anew", running.grace, finding.cause)


def _first_start(workload: Workload, trouble: Trouble | None, now: datetime) -> Start | Hold:
    if trouble is None or not _is_about(trouble, workload):
        return Start(workload, Attempt(), "assigned to this node")
    return _again(workload, Attempt(), trouble, now)


def _is_about(trouble: Trouble, workload: Workload) -> bool:
    """Whether it was met by what is wanted now, and not by what was wanted before."""
    return (trouble.spec_hash, trouble.run) == (workload.spec_hash, workload.run)


def _again(workload: Workload, attempt: Attempt, trouble: Trouble, now: datetime) -> Start | Hold:
    delay = back_off(trouble.streak + 1)
    until = due(trouble.at, delay, now)
    if now >= until:
        return Start(workload, attempt, f"another try after: {trouble.why}")
    why = f"{trouble.why}; trying again in {shown(delay)}"
    return Hold(
        workload.id, trouble.state, why, until, attempt.restarts, cause=trouble.cause, run=workload.run
    )


def _after_exit(
    workload: Workload, running: Running, failing: Failing | None, seen: Observed, now: datetime
) -> Start | Hold:
    assert running.exit is not None  # noqa: S101
    ended, before, trouble = running.exit, running.attempt, seen.troubles.get(workload.id)
    met_since = trouble is not None and (trouble.at > ended.at or ended.at > now)
    # What it was ended for says more than how it ended.
    said = failing.finding if failing is not None else Finding(ended.cause, ended.why)
    if running.run < workload.run:
        asked = Attempt(before.restarts)
        if trouble is not None and met_since and _is_about(trouble, workload):
            return _again(workload, asked, trouble, now)
        return Start(workload, asked, "its owner asked for a restart")
    if kept := _why_kept(workload):
        return _held(workload, running, f"{said.why}; {kept}", said.cause)
    next_run = Attempt(before.restarts + 1, _next_streak(running, seen, ended.at))
    if trouble is not None and met_since and _is_about(trouble, workload):
        return _again(workload, next_run, trouble, now)
    delay = back_off(next_run.streak)
    until = due(ended.at, delay, now)
    if now >= until:
        return Start(workload, next_run, f"{said.why}; restart {next_run.restarts}")
    why = f"{said.why}; restarting in {shown(delay)} (restart {next_run.restarts})"
    return _held(workload, running, why, said.cause, until)


def _why_kept(workload: Workload) -> str:
    if workload.crash_block:
        return "left as it ended, because runtime.enable_crash_block is set"
    return "left as it ended while it is isolated" if workload.isolated else ""


def _held(
    workload: Workload, running: Running, why: str, cause: Cause, until: datetime | None = None
) -> Hold:
    assert running.exit is not None  # noqa: S101
    state = InstanceState.FAILED if until is None else InstanceState.CRASH_LOOP_BACK_OFF
    last = running.exit.why
    return Hold(workload.id, state, why, until, running.attempt.restarts, last, cause, running.run)


def _next_streak(running: Running, seen: Observed, ended_at: datetime) -> int:
    """The failures in a row with this end. One that was ready long enough has failed for the first time."""
    ready_at = seen.ready_at.get(running.id)
    if ready_at is None or ready_at < running.started_at or ended_at - ready_at < HEALTHY_AFTER:
        return running.attempt.streak + 1
    return 1


def _stop(instance: str, seen: Observed, why: str, wanted: Wanted | None = None) -> Stop:
    """What is no longer wanted has its grace period to finish."""
    running = seen.running.get(instance)
    if running is not None:
        drain = wanted.drain if wanted is not None else running.grace
        return Stop(instance, why, running.grace, running.sigterm, drain)
    workload, drain = wanted.workload if wanted else None, wanted.drain if wanted else timedelta(0)
    if workload is not None:
        return Stop(instance, why, workload.grace, workload.sigterm, drain)
    return Stop(instance, why, timedelta(seconds=30), sigterm=True, drain=drain)


def _is_stopping(instance: str, seen: Observed) -> bool:
    busy = seen.busy.get(instance)
    return busy is not None and busy.stopping
