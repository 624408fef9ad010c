"""What an update of a service is, would do and did, as plain frozen values.

They are all in `easel_sdk.types` too.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from libs.domain.states import RolloutPhase


@dataclass(frozen=True)
class RolloutPlan:
    """How an update goes on. Neither partition nor batches: all of it within max_surge and max_unavailable.

    `partition` instances stay at the version before until it is promoted; `batch_size` instances are
    replaced before the next pause, of `interval` or, without one, until a resume. Numbers or percents.
    """

    partition: str = ""
    batch_size: str = ""
    interval: timedelta | None = None
    paused: bool = False


@dataclass(frozen=True)
class Rollout:
    """The way from one version of a service to another: `updated` of `wanted` instances are there."""

    version: int
    from_version: int
    phase: RolloutPhase
    why: str
    plan: RolloutPlan
    updated: int
    wanted: int
    started_at: datetime | None
    finished_at: datetime | None
    # Why the service went back by itself; empty for an update that somebody asked for.
    because: str = ""


class Action(StrEnum):
    """What can be done with an update that is under way."""

    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    UNDO = "undo"


@dataclass(frozen=True)
class Change:
    """One key whose value an update changes; JSON text, empty where the key is not there."""

    path: str
    before: str
    after: str


@dataclass(frozen=True)
class UpdatePlan:
    """What an update would do: the version in force after it, whether instances are replaced, the steps."""

    changes: tuple[Change, ...]
    version: int
    rolls: bool
    steps: tuple[str, ...]
    warnings: tuple[str, ...] = ()
