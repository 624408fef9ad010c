"""`autoscaler`, `cronScaler` and `metrics`: when the number of instances changes by itself, and on what."""

from typing import Annotated

from pydantic import Field

from libs.spec.scalars import Count, OptionalText, PositiveCount, Seconds, Text, Threshold, whole
from libs.spec.section import Section

MAX_REPLICAS = 3000


class ScaleStrategy(Section):
    """A metric and the value each instance should show; `service` names whose metric, by default its own."""

    metric_name: Text = Field(alias="metricName")
    threshold: Threshold
    service: OptionalText = None


class Stabilization(Section):
    """How long, in seconds, a metric must ask for a change before it is made."""

    stabilization_window_seconds: Seconds = Field(default=0, alias="stabilizationWindowSeconds")


class SlowStabilization(Section):
    """How long, in seconds, a metric must ask for fewer instances before they go."""

    stabilization_window_seconds: Seconds = Field(default=300, alias="stabilizationWindowSeconds")


class OnZero(Section):
    """Going to zero after a quiet time in seconds, and what starts on waking."""

    scale_down_grace_period_seconds: Seconds = Field(default=600, alias="scaleDownGracePeriodSeconds")
    scale_up_activation_replicas: PositiveCount = Field(default=1, alias="scaleUpActivationReplicas")


class Behavior(Section):
    """`autoscaler.behavior`."""

    scale_up: Stabilization = Field(default=Stabilization(), alias="scaleUp")
    scale_down: SlowStabilization = Field(default=SlowStabilization(), alias="scaleDown")
    on_zero: OnZero = Field(default=OnZero(), alias="onZero")


class Autoscaler(Section):
    """`autoscaler`. `strategies` is the older form of `scaleStrategies`."""

    min: Annotated[int, whole(0, MAX_REPLICAS)] = 1
    max: Annotated[int, whole(1, MAX_REPLICAS)] = 10
    strategies: dict[str, Threshold] = Field(default_factory=dict)
    scale_strategies: tuple[ScaleStrategy, ...] = Field(default=(), alias="scaleStrategies")
    behavior: Behavior = Behavior()

    @property
    def thresholds(self) -> tuple[ScaleStrategy, ...]:
        """Both forms as one list."""
        old = (ScaleStrategy(metricName=metric, threshold=value) for metric, value in self.strategies.items())
        return (*self.scale_strategies, *old)


class ScaleJob(Section):
    """A size for the service at the times that a six-field schedule names."""

    name: Text = Field(alias="Name")
    schedule: Text = Field(alias="Schedule")
    target_size: Count = Field(alias="TargetSize")
    time_zone: OptionalText = Field(default=None, alias="TimeZone")


class CronScaler(Section):
    """`cronScaler`: scheduled sizes, and days on which the schedule rests."""

    scale_jobs: tuple[ScaleJob, ...] = Field(default=(), alias="ScaleJobs")
    exclude_dates: tuple[Text, ...] = Field(default=(), alias="ExcludeDates")


class CustomMetric(Section):
    """A metric that the program reports. `tags` is a comma-separated list of tag names."""

    name: Text
    tags: OptionalText = None
