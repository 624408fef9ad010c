"""What can be done about one instance in one pass over the node."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

from libs.domain.causes import Cause
from libs.domain.states import InstanceState
from services.agent.runtime.port import Attempt, Running
from services.agent.workload import Workload


@dataclass(frozen=True)
class Stop:
    """End it once its connections have ended, and remove what is left of it."""

    id: str
    why: str
    grace: timedelta
    sigterm: bool
    drain: timedelta = timedelta(0)


@dataclass(frozen=True)
class End:
    """End its program once its connections have ended, and keep the rest: it is started anew."""

    workload: Workload
    running: Running
    why: str
    drain: timedelta
    # What is wrong with the program that is ended; None when its owner asked.
    cause: Cause | None = None
    # Whether the next run is waited for, because it has failed before.
    backs_off: bool = False


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
    cause: Cause | None = None
    run: int = 0


@dataclass(frozen=True)
class Keep:
    """Runs as wanted."""

    workload: Workload
    running: Running


@dataclass(frozen=True)
class Leave:
    """Runs as wanted, though this node could not start it now: it goes on as it is."""

    running: Running
    epoch: int


Step: TypeAlias = Stop | End | Start | Hold | Keep | Leave


@dataclass(frozen=True)
class Plan:
    """One pass: at most one step an instance. `gone` are ids that were to stop and are not here."""

    stop: tuple[Stop, ...] = ()
    end: tuple[End, ...] = ()
    start: tuple[Start, ...] = ()
    hold: tuple[Hold, ...] = ()
    keep: tuple[Keep, ...] = ()
    leave: tuple[Leave, ...] = ()
    gone: tuple[str, ...] = ()

    @property
    def why(self) -> str:
        """The steps in one line; empty when there is nothing to do."""
        steps = [f"stop {step.id}: {step.why}" for step in self.stop]
        steps += [f"end {step.workload.id}: {step.why}" for step in self.end]
        steps += [f"start {step.workload.id}: {step.why}" for step in self.start]
        return "; ".join(steps)

    def next_due(self) -> datetime | None:
        """When a held instance may be started, the earliest one."""
        return min((hold.until for hold in self.hold if hold.until is not None), default=None)
