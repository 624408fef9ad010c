"""Numbers, sizes and what they cost, as plain frozen values. They are all in `easel_sdk.types` too."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from libs.domain.records import Resources


@dataclass(frozen=True)
class Selector:
    """Which numbers are asked for; docs/METRICS.md has the measures.

    `kind` is service, instance, node, gpu or gateway; without `subjects` it is all of them, of kind instance
    those of `of_service` where that is given. Without `window` it is the newest number.
    """

    measure: str
    kind: str = "service"
    subjects: tuple[str, ...] = ()
    of_service: str = ""
    window: timedelta = timedelta()


@dataclass(frozen=True)
class MetricValue:
    """One number. One that is missing, or older than ten seconds, is not told; silence is 0."""

    measure: str
    kind: str
    subject: str
    value: float
    window: timedelta
    # How long ago the newest number in it arrived.
    age: timedelta
    # How many instances it is the mean of; 0 where it is no mean.
    instances: int


@dataclass(frozen=True)
class MetricValues:
    """Every number that was asked for, at one moment."""

    at: datetime | None
    values: tuple[MetricValue, ...]


@dataclass(frozen=True)
class MetricPoint:
    at: datetime
    value: float


@dataclass(frozen=True)
class MetricSeries:
    """The numbers of one thing over time; where there was none, there is no point."""

    measure: str
    kind: str
    subject: str
    points: tuple[MetricPoint, ...]


@dataclass(frozen=True)
class Scaling:
    """One change of a service's size, and why."""

    id: int
    at: datetime | None
    service: str
    before: int
    after: int
    # "horizontal", "burst", "zero", "timed", or "user".
    policy: str
    why: str
    # The metric that decided, for each instance, and what it is held to; empty where none did.
    metric: str = ""
    value: float = 0.0
    threshold: float = 0.0


@dataclass(frozen=True)
class Autoscaler:
    """When a service changes its size by itself, and where it stands. `policy` is as in a service.json."""

    service: str
    policy: Mapping[str, Any]
    created_at: datetime | None
    updated_at: datetime | None
    revision: int
    wanted: int
    ready: int
    waiting: int
    last: Scaling | None = None


@dataclass(frozen=True)
class AutoscalerWritten:
    """A policy after it was set, and what was accepted without effect."""

    autoscaler: Autoscaler
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class CronJob:
    """A size at certain times, what became of it when it was due last, and when it is due next."""

    name: str
    schedule: str
    target_size: int
    time_zone: str
    # "Submitted" before the first run, or while a lock forbids it; "Succeed", "Failed", "Skipped", "Missed".
    state: str
    message: str
    last_run_at: datetime | None
    next_run_at: datetime | None


@dataclass(frozen=True)
class Cronscaler:
    """The schedule of a service's size. `policy` is {"ScaleJobs": [...], "ExcludeDates": [...]}."""

    service: str
    policy: Mapping[str, Any]
    created_at: datetime | None
    updated_at: datetime | None
    revision: int
    jobs: tuple[CronJob, ...]


@dataclass(frozen=True)
class CronscalerWritten:
    """A schedule after it was set, and what was accepted without effect."""

    cronscaler: Cronscaler
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoadPoint:
    """What was measured at one moment, by measure; one that is missing is missing."""

    at: datetime
    values: Mapping[str, float]


@dataclass(frozen=True)
class ReplayStep:
    """The size from here on; the first step is the beginning."""

    at: datetime | None
    instances: int
    policy: str
    why: str


@dataclass(frozen=True)
class Replay:
    """What a policy would have done with a load."""

    steps: tuple[ReplayStep, ...]
    instance_hours: float
    # In which a metric lay above its threshold for each ready instance.
    seconds_over_target: float
    least_instances: int
    most_instances: int


@dataclass(frozen=True)
class Shape:
    """What one instance asks for."""

    resources: Resources = field(default_factory=Resources)
    gpu_model: str = ""
    instance_type: str = ""


@dataclass(frozen=True)
class NodeCapacity:
    """How many more instances fit on a node, and why not one more."""

    node: str
    fits: int
    why: str


@dataclass(frozen=True)
class GroupCapacity:
    """How many more instances of a shape fit in a resource group now, and why not more."""

    resource_group: str
    kind: str
    shape: Shape
    capacity: Resources
    allocated: Resources
    nodes: int
    fits: int
    reasons: tuple[str, ...]
    on: tuple[NodeCapacity, ...]
    # Of a service: which of the nodes that it may use these are, in the order in which they are used.
    tier: str = ""


@dataclass(frozen=True)
class UsageSum:
    """What was held, added up; what was not asked for by is empty. Sums are exact, in milliseconds."""

    service: str
    resource_group: str
    instance_type: str
    workspace: str
    pool: str
    instance_ms: int
    gpu_ms: int
    cpu_milli_ms: int
    memory_mib_ms: int
    # By the prices that nodes had when instances were placed.
    cost: float


@dataclass(frozen=True)
class Usage:
    """What was held from `begin` up to and without `end`. Nothing is known of before `kept_since`."""

    begin: datetime
    end: datetime
    sums: tuple[UsageSum, ...]
    kept_since: datetime | None
