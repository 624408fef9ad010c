"""What a node should do next: pure, from what is wanted, what runs and what went wrong before."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from libs.domain.states import InstanceState
from services.agent.runtime.port import Attempt, Running
from services.agent.workload import Workload

FIRST_DELAY = timedelta(seconds=10)
LONGEST_DELAY = timedelta(minutes=5)
HEALTHY_AFTER = timedelta(minutes=10)


@dataclass(frozen=True)
class Wanted:
    """One assignment: what to run, or `stop`, or why this node cannot run it (`refusal`)."""

    id: str
    epoch: int
    stop: bool = False
    workload: Workload | None = None
    refusal: str = ""
    spec_hash: str = ""


@dataclass(frozen=True)
class Trouble:
    """The newest failure to start an instance. `streak` counts such failures in a row."""

    at: datetime
    why: str
    state: InstanceState
    spec_hash: str
    streak: int = 1


@dataclass(frozen=True)
class Stop:
    """End it, and remove what is left of it."""

    id: str
    why: str
    grace: timedelta
    sigterm: bool


@dataclass(frozen=True)
class Start:
    workload: Workload
    attempt: Attempt
    why: str


@dataclass(frozen=True)
class Hold:
    """Not running, and not to be started before `until` (None: not before its assignment changes)."""

    id: str
    state: InstanceState
    why: str
    until: datetime | None
    restarts: int = 0
    last_exit: str = ""


@dataclass(frozen=True)
class Keep:
    """Runs as wanted."""

    workload: Workload
    running: Running


Step: TypeAlias = Stop | Start | Hold | Keep


@dataclass(frozen=True)
class Plan:
    """One pass: at most one step an instance. `gone` are ids that were to stop and are not here."""

    stop: tuple[Stop, ...] = ()
    start: tuple[Start, ...] = ()
    hold: tuple[Hold, ...] = ()
    keep: tuple[Keep, ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def why(self) -> str:
        """The steps in one line; empty when there is nothing to do."""
        steps = [f"stop {step.id}: {step.why}" for step in self.stop]
        steps += [f"start {step.workload.id}: {step.why}" for step in self.start]
        return "; ".join(steps)

    def next_due(self) -> datetime | None:
        """When a held instance may be started, the earliest one."""
        return min((hold.until for hold in self.hold if hold.until is not None), default=None)


@dataclass(frozen=True)
class Busy:
    """Something is being done to an instance right now: it is stopped, or started from `spec_hash`."""

    stopping: bool
    spec_hash: str = ""


@dataclass(frozen=True)
class Observed:
    """The node as one pass sees it."""

    wanted: Mapping[str, Wanted]
    running: Mapping[str, Running]
    troubles: Mapping[str, Trouble] = field(default_factory=dict)
    busy: Mapping[str, Busy] = field(default_factory=dict)


def back_off(failures: int) -> timedelta:
    """The wait after so many failures in a row: none after the first, then 10 s, doubling up to 5 min."""
    if failures <= 1:
        return timedelta(0)
    return min(LONGEST_DELAY, FIRST_DELAY * (1 << min(failures - 2, 10)))


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
        if not _is_stopping(unwanted, seen):
            steps.append(_stop(unwanted, seen, "no longer assigned to this node"))
    return Plan(
        stop=tuple(step for step in steps if isinstance(step, Stop)),
        start=tuple(step for step in steps if isinstance(step, Start)),
        hold=tuple(step for step in steps if isinstance(step, Hold)),
        keep=tuple(step for step in steps if isinstance(step, Keep)),
        gone=tuple(gone),
    )


def _step(wanted: Wanted, seen: Observed, now: datetime) -> Step | None:
    running, busy = seen.running.get(wanted.id), seen.busy.get(wanted.id)
    if busy is not None and busy.stopping:
        return None
    if wanted.stop or wanted.workload is None:
        return _end_of(wanted, seen)
    if busy is not None:
        changed = busy.spec_hash != wanted.spec_hash
        return _stop(wanted.id, seen, "its assignment changed meanwhile", wanted) if changed else None
    return _towards_running(wanted.workload, running, seen.troubles.get(wanted.id), now)


def _end_of(wanted: Wanted, seen: Observed) -> Stop | Hold | None:
    exists = wanted.id in seen.running or wanted.id in seen.busy
    if exists:
        return _stop(wanted.id, seen, wanted.refusal or "the scheduler asked for it", wanted)
    return None if wanted.stop else Hold(wanted.id, InstanceState.FAILED, wanted.refusal, None)


def _towards_running(
    workload: Workload, running: Running | None, trouble: Trouble | None, now: datetime
) -> Step:
    if running is None:
        return _first_start(workload, trouble, now)
    if running.spec_hash != workload.spec_hash:
        return Stop(workload.id, "its assignment changed", running.grace, running.sigterm)
    if running.exit is None:
        return Keep(workload, running)
    return _after_exit(workload, running, trouble, now)


def _first_start(workload: Workload, trouble: Trouble | None, now: datetime) -> Start | Hold:
    if trouble is None or trouble.spec_hash != workload.spec_hash:
        return Start(workload, Attempt(), "assigned to this node")
    return _again(workload, Attempt(), trouble, now)


def _again(workload: Workload, attempt: Attempt, trouble: Trouble, now: datetime) -> Start | Hold:
    delay = back_off(trouble.streak + 1)
    due = trouble.at + delay
    if now >= due:
        return Start(workload, attempt, f"another try after: {trouble.why}")
    why = f"{trouble.why}; trying again in {_shown(delay)}"
    return Hold(workload.id, trouble.state, why, due, attempt.restarts)


def _after_exit(workload: Workload, running: Running, trouble: Trouble | None, now: datetime) -> Start | Hold:
    assert running.exit is not None  # noqa: S101
    ended, before = running.exit, running.attempt
    if workload.crash_block:
        why = f"{ended.why}; left as it ended, because runtime.enable_crash_block is set"
        return Hold(workload.id, InstanceState.FAILED, why, None, before.restarts, ended.why)
    healthy = ended.at - running.started_at >= HEALTHY_AFTER
    next_run = Attempt(before.restarts + 1, 1 if healthy else before.streak + 1)
    if trouble is not None and trouble.at > ended.at and trouble.spec_hash == workload.spec_hash:
        return _again(workload, next_run, trouble, now)
    delay = back_off(next_run.streak)
    if now >= ended.at + delay:
        return Start(workload, next_run, f"{ended.why}; restart {next_run.restarts}")
    why = f"{ended.why}; restarting in {_shown(delay)} (restart {next_run.restarts})"
    due = ended.at + delay
    return Hold(workload.id, InstanceState.CRASH_LOOP_BACK_OFF, why, due, before.restarts, ended.why)


def _stop(instance: str, seen: Observed, why: str, wanted: Wanted | None = None) -> Stop:
    running = seen.running.get(instance)
    if running is not None:
        return Stop(instance, why, running.grace, running.sigterm)
    workload = wanted.workload if wanted else None
    if workload is not None:
        return Stop(instance, why, workload.grace, workload.sigterm)
    return Stop(instance, why, timedelta(seconds=30), sigterm=True)


def _is_stopping(instance: str, seen: Observed) -> bool:
    busy = seen.busy.get(instance)
    return busy is not None and busy.stopping


def _shown(delay: timedelta) -> str:
    seconds = int(delay.total_seconds())
    return f"{seconds} s" if seconds < 120 else f"{seconds // 60} min"
