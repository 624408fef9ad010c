"""The node as one pass sees it: what is wanted, what runs, what is being done, what went wrong before."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from libs.domain.causes import Cause
from libs.domain.states import InstanceState
from services.agent.runtime.port import Finding, Running
from services.agent.workload import Workload


@dataclass(frozen=True)
class Wanted:
    """One assignment: what to run, or `stop`, or why this node cannot run it (`refusal`).

    `drain` is how long its open connections are waited for when its program is ended.
    """

    id: str
    epoch: int
    stop: bool = False
    workload: Workload | None = None
    refusal: str = ""
    spec_hash: str = ""
    drain: timedelta = timedelta(0)
    cause: Cause = Cause.NOT_ON_THIS_NODE


@dataclass(frozen=True)
class Trouble:
    """The newest failure to start an instance. `streak` counts such failures in a row."""

    at: datetime
    why: str
    state: InstanceState
    spec_hash: str
    streak: int = 1
    cause: Cause | None = None
    run: int = 0


@dataclass(frozen=True)
class Failing:
    """The checks of one run say that it has to be started anew. `started_at` tells which run."""

    started_at: datetime
    finding: Finding


@dataclass(frozen=True)
class Busy:
    """Something is being done to an instance right now: it is stopped, or started from `spec_hash`.

    `drain` is how long what is stopped is given for its connections.
    """

    stopping: bool
    spec_hash: str = ""
    drain: timedelta = timedelta(0)


@dataclass(frozen=True)
class Observed:
    """The node as one pass sees it."""

    wanted: Mapping[str, Wanted]
    running: Mapping[str, Running]
    troubles: Mapping[str, Trouble] = field(default_factory=dict)
    busy: Mapping[str, Busy] = field(default_factory=dict)
    failing: Mapping[str, Failing] = field(default_factory=dict)
    # Since when the present or last run of an instance was ready, where it ever was.
    ready_at: Mapping[str, datetime] = field(default_factory=dict)
