"""How policies, schedules and what came of them are shown. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cli.numbers import UNKNOWN, amount, measured
from cli.output import Columns, age
from cli.policies import bounds_text, is_total, strategies_of
from easel_sdk.types import Autoscaler, CronJob, Cronscaler, Replay, ReplayStep, Scaling, ServiceState


@dataclass(frozen=True)
class Metric:
    """A metric of a policy: what each instance shows now, None where it is not known, and the threshold.

    `unknown` is one that nobody measures.
    """

    name: str
    threshold: float
    service: str
    value: float | None
    unknown: bool = False


def metrics_of(
    autoscaler: Autoscaler,
    now: Mapping[tuple[str, str], float],
    ready: int,
    unknown: Collection[str] = (),
) -> list[Metric]:
    """The metrics of a policy; `now` has totals and means by service and measure, `unknown` the names of
    those that nobody measures."""
    found = []
    for name, threshold, service in strategies_of(autoscaler.policy):
        value = now.get((service or autoscaler.service, name))
        shared = value / ready if value is not None and is_total(name) and ready else value
        found.append(Metric(name, threshold, service, shared, name in unknown))
    return found


def _thresholds(autoscaler: Autoscaler) -> str:
    return ", ".join(f"{name}={amount(at)}" for name, at, _ in strategies_of(autoscaler.policy))


METRICS: Columns[Metric] = (
    ("METRIC", lambda each: each.name + (f" of {each.service}" if each.service else "")),
    ("AN INSTANCE", lambda each: "unknown" if each.unknown else measured(each.name, each.value)),
    ("THRESHOLD", lambda each: measured(each.name, each.threshold)),
)
AUTOSCALERS: Columns[Autoscaler] = (
    ("SERVICE", lambda each: each.service),
    ("MIN", lambda each: each.policy.get("min", 1)),
    ("MAX", lambda each: each.policy.get("max", 10)),
    ("WANTED", lambda each: each.wanted),
    ("READY", lambda each: each.ready),
    ("WAITING", lambda each: each.waiting),
    ("METRICS", _thresholds),
    ("LAST", lambda each: each.last and each.last.at),
    ("WHY", lambda each: each.last.why if each.last else None),
)
SCALINGS: Columns[Scaling] = (
    ("AGE", lambda each: each.at),
    ("FROM", lambda each: each.before),
    ("TO", lambda each: each.after),
    ("POLICY", lambda each: each.policy),
    ("METRIC", lambda each: each.metric),
    ("VALUE", lambda each: _of_metric(each, each.value)),
    ("THRESHOLD", lambda each: _of_metric(each, each.threshold)),
    ("WHY", lambda each: each.why),
)
CRONSCALERS: Columns[Cronscaler] = (
    ("SERVICE", lambda each: each.service),
    ("JOBS", lambda each: ", ".join(job.name for job in each.jobs)),
    ("NEXT", lambda each: next_run(each.jobs)),
)
JOBS: Columns[CronJob] = (
    ("JOB", lambda each: each.name),
    ("SCHEDULE", lambda each: each.schedule),
    ("ZONE", lambda each: each.time_zone or "UTC"),
    ("SIZE", lambda each: each.target_size),
    ("STATE", lambda each: each.state),
    ("LAST", lambda each: each.last_run_at),
    ("NEXT", lambda each: moment_text(each.next_run_at)),
    ("WHY", lambda each: each.message),
)


def step_columns(zero: datetime | None) -> Columns[ReplayStep]:
    """Steps of a load by moments, or by seconds since `zero` where those are all that it has."""
    return (
        ("AT", lambda each: moment_text(each.at) if zero is None else since_text(zero, each.at)),
        ("INSTANCES", lambda each: each.instances),
        ("POLICY", lambda each: each.policy),
        ("WHY", lambda each: each.why),
    )


def rests(state: ServiceState) -> bool:
    """Whether a service in this state is left alone by its autoscaler."""
    return state in (ServiceState.STOPPED, ServiceState.STOPPING)


def autoscaler_lines(autoscaler: Autoscaler, *, stopped: bool = False) -> list[tuple[str, object]]:
    last = autoscaler.last
    newest = (
        f"{last.before} to {last.after}, {age(last.at)} ago ({last.policy}): {last.why}" if last else None
    )
    return [
        ("service", autoscaler.service),
        ("state", f"stopped: its size is left alone until `easel start {autoscaler.service}`" * stopped),
        ("bounds", bounds_text(autoscaler.policy)),
        *_behaviour(autoscaler.policy),
        ("instances", f"{autoscaler.ready} of {autoscaler.wanted} ready"),
        ("waiting", _requests(autoscaler.waiting) if autoscaler.waiting else None),
        ("last", newest),
    ]


def _behaviour(policy: Mapping[str, Any]) -> list[tuple[str, object]]:
    """The windows in force, and what belongs to a policy that may go to zero."""
    from libs.domain.errors import InvalidSpec
    from libs.spec import parse_autoscaler

    try:
        scaler = parse_autoscaler(policy).autoscaler
    except InvalidSpec:  # of another release
        return []
    behavior, burst, zero = scaler.behavior, scaler.behavior.burst, scaler.behavior.on_zero
    up, down = (
        behavior.scale_up.stabilization_window_seconds,
        behavior.scale_down.stabilization_window_seconds,
    )
    sudden = f"{burst.threshold_percent}% of what there is over {burst.window_seconds} s"
    held = f"{zero.hold_requests} requests, {zero.hold_mebibytes} MiB, {zero.hold_seconds} s each"
    sleeps = (
        f"after {zero.scale_down_grace_period_seconds} s without a request; "
        f"wakes to {zero.scale_up_activation_replicas}, holds up to {held}"
    )
    return [
        ("measured over", f"{behavior.measure_seconds} s"),
        ("windows", f"{up} s up, {down} s down"),
        ("burst", sudden if burst.enabled else "off"),
        ("sleeps", sleeps if scaler.min == 0 else None),
    ]


def replay_lines(replay: Replay) -> list[tuple[str, object]]:
    return [
        ("instance-hours", f"{replay.instance_hours:.2f}"),
        ("seconds over target", amount(round(replay.seconds_over_target))),
        ("instances", f"{replay.least_instances} to {replay.most_instances}"),
        ("changes", max(len(replay.steps) - 1, 0)),
    ]


def next_run(jobs: Sequence[CronJob]) -> str:
    return moment_text(min((each.next_run_at for each in jobs if each.next_run_at), default=None))


def _requests(count: int) -> str:
    return "1 request" if count == 1 else f"{count} requests"


def since_text(zero: datetime, when: datetime | None) -> str:
    """Seconds after `zero`: "+120 s"."""
    return UNKNOWN if when is None else f"{seconds_since(zero, when):+.12g} s"


def seconds_since(zero: datetime, when: datetime) -> float:
    return round((when - zero).total_seconds(), 3)


def moment_text(when: object) -> str:
    """A time that may lie ahead, in UTC."""
    return when.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ") if isinstance(when, datetime) else UNKNOWN


def _of_metric(scaling: Scaling, value: float) -> str | None:
    return measured(scaling.metric, value) if scaling.metric else None
