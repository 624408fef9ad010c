"""`autoscaler`, `cronScaler` and `metrics`: when the number of instances changes by itself, and on what."""

import re
from typing import Annotated

from pydantic import Field

from libs.spec.scalars import (
    Expected,
    Flag,
    OptionalText,
    PositiveCount,
    PositiveSeconds,
    Seconds,
    Text,
    Threshold,
    whole,
)
from libs.spec.section import Section

MAX_REPLICAS = 3000
# Each is looked at every second.
MOST_METRICS, MOST_JOBS, MOST_EXCLUDED = 50, 100, 100
# Of a metric that the program posts.
MOST_OF_A_NAME = 128
_METRIC = re.compile(
    r"[A-Za-z_][\w.-]{0,62}(\[[^\[\]@]{1,128}\](@[\w.-]{1,64}\[[^\[\]]{0,128}\])?)?", re.ASCII
)
_SERVICE = re.compile(r"[a-z0-9_][a-z0-9_-]{2,62}")


def _metric(value: object) -> str:
    if isinstance(value, str) and _METRIC.fullmatch(value.strip()):
        return value.strip()
    raise ValueError(value)


def _service(value: object) -> str | None:
    if value in (None, ""):
        return None
    if isinstance(value, str) and _SERVICE.fullmatch(value):
        return value
    raise ValueError(value)


MetricName = Annotated[str, Expected("a metric such as qps, rt[p99] or custom[NAME]@TAG[VALUE]", _metric)]
OtherService = Annotated[str | None, Expected("the name of a service, or nothing for this one", _service)]
Replicas = Annotated[int, whole(0, MAX_REPLICAS)]


class ScaleStrategy(Section):
    """A metric and the value each instance should show; `service` names whose metric, by default its own."""

    metric_name: MetricName = Field(alias="metricName")
    threshold: Threshold
    service: OtherService = None


class Stabilization(Section):
    """How long, in seconds, a metric must ask for a change before it is made."""

    stabilization_window_seconds: Seconds = Field(default=0, alias="stabilizationWindowSeconds")


class SlowStabilization(Section):
    """How long, in seconds, a metric must ask for fewer instances before they go."""

    stabilization_window_seconds: Seconds = Field(default=300, alias="stabilizationWindowSeconds")


class Burst(Section):
    """Sudden load: over a few seconds it is `threshold_percent` of what the instances are to bear."""

    enabled: Flag = True
    window_seconds: Annotated[int, whole(1, 60, "seconds")] = Field(default=3, alias="windowSeconds")
    threshold_percent: Annotated[int, whole(101, 10_000)] = Field(default=200, alias="thresholdPercent")


class OnZero(Section):
    """Going to zero after a quiet time in seconds, what starts on waking, and how much waits for it."""

    scale_down_grace_period_seconds: Seconds = Field(default=600, alias="scaleDownGracePeriodSeconds")
    scale_up_activation_replicas: PositiveCount = Field(default=1, alias="scaleUpActivationReplicas")
    hold_requests: PositiveCount = Field(default=1000, alias="holdRequests")
    hold_mebibytes: Annotated[int, whole(1, 65_536)] = Field(default=256, alias="holdMebibytes")
    hold_seconds: PositiveSeconds = Field(default=300, alias="holdSeconds")


class Behavior(Section):
    """`autoscaler.behavior`. Metrics are measured over the last `measure_seconds`."""

    scale_up: Stabilization = Field(default=Stabilization(), alias="scaleUp")
    scale_down: SlowStabilization = Field(default=SlowStabilization(), alias="scaleDown")
    on_zero: OnZero = Field(default=OnZero(), alias="onZero")
    measure_seconds: Annotated[int, whole(1, 3600, "seconds")] = Field(default=30, alias="measureSeconds")
    burst: Burst = Burst()


class Autoscaler(Section):
    """`autoscaler`. `strategies` is the older form of `scaleStrategies`."""

    min: Replicas = 1
    max: Annotated[int, whole(1, MAX_REPLICAS)] = 10
    strategies: dict[MetricName, Threshold] = Field(default_factory=dict)
    scale_strategies: tuple[ScaleStrategy, ...] = Field(default=(), alias="scaleStrategies")
    behavior: Behavior = Behavior()

    def bounded(self, instances: int) -> int:
        """As many instances as that, within the bounds."""
        return min(max(instances, self.min), self.max)

    @property
    def thresholds(self) -> tuple[ScaleStrategy, ...]:
        """Both forms as one list."""
        old = (ScaleStrategy(metricName=metric, threshold=value) for metric, value in self.strategies.items())
        return (*self.scale_strategies, *old)


class ScaleJob(Section):
    """A size for the service at the times that a six-field schedule names."""

    name: Text = Field(alias="Name")
    schedule: Text = Field(alias="Schedule")
    target_size: Replicas = Field(alias="TargetSize")
    time_zone: OptionalText = Field(default=None, alias="TimeZone")
    run_once: Flag = Field(default=False, alias="RunOnce")


class CronScaler(Section):
    """`cronScaler`: scheduled sizes, and days on which the schedule rests."""

    scale_jobs: tuple[ScaleJob, ...] = Field(default=(), alias="ScaleJobs")
    exclude_dates: tuple[Text, ...] = Field(default=(), alias="ExcludeDates")


class CustomMetric(Section):
    """A metric that the program reports. `tags` is a comma-separated list of tag names."""

    name: Text
    tags: OptionalText = None

    @property
    def tag_names(self) -> frozenset[str]:
        return frozenset(each.strip() for each in (self.tags or "").split(",") if each.strip())
