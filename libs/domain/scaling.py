"""What Easel keeps of how services change their size, and of what they used.

Records as those of `libs/domain/records.py`. Policies are canonical JSON in the shapes of EAS, read by
`libs/spec`.
"""

from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class StartPhase:
    """How long one phase of an instance's start took."""

    name: str
    seconds: float


# When policies were set that an upgrade took out of documents, until the first start has read them.
UNREAD = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Autoscaler:
    """When a service changes its size by itself; its schedule may move `min` and `max` in it."""

    service: str
    policy_json: str
    created_at: datetime
    updated_at: datetime
    revision: int = 0


@dataclass(frozen=True)
class CronJobState:
    """What became of a job of a schedule. `last_run_ms`: milliseconds since 1970, 0 before the first run."""

    name: str
    state: str = "Submitted"
    message: str = ""
    last_run_ms: int = 0


@dataclass(frozen=True)
class Cronscaler:
    """The sizes that a service has at certain times."""

    service: str
    policy_json: str
    created_at: datetime
    updated_at: datetime
    jobs: tuple[CronJobState, ...] = ()
    revision: int = 0


@dataclass(frozen=True)
class PolicyBefore:
    """What an update took the place of, for the way back; without `policy_json` there was nothing.

    `key` is "autoscaler" or "cronScaler". What the update brought was set at `brought_at`, None where it
    brought nothing: a policy that is another one by now was set since.
    """

    key: str
    brought_at: datetime | None = None
    policy_json: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    jobs: tuple[CronJobState, ...] = ()


@dataclass(frozen=True)
class Usage:
    """One instance held its resources on one node from `begin` up to and without `end`. Never changed.

    `price` is what its node cost an hour when it was placed.
    """

    instance: str
    service: str
    workspace: str
    resource_group: str
    pool: str
    instance_type: str
    node: str
    begin: datetime
    end: datetime
    cpu_milli: int = 0
    memory_mib: int = 0
    gpus: int = 0
    price: float = 0.0
