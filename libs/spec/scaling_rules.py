"""Rules and hints that join several keys of `autoscaler` and `cronScaler`."""

import re
from collections.abc import Iterator

from libs.spec import cron, metric_names
from libs.spec.autoscaler import (
    MOST_EXCLUDED,
    MOST_JOBS,
    MOST_METRICS,
    MOST_OF_A_NAME,
    Autoscaler,
    CronScaler,
    ScaleStrategy,
)
from libs.spec.refusal import Path, Words, path_of, refused
from libs.spec.service import ServiceSpec
from libs.spec.suggestions import Notice

_GPU = re.compile(r"gpu(\[util\]|_memory)?$")


def sizes_can_be_chosen(spec: ServiceSpec) -> None:
    """What the autoscaler and the schedule ask for can be done. Raises InvalidSpec."""
    if spec.autoscaler is not None:
        check_autoscaler(spec.autoscaler)
    if spec.cron_scaler is not None:
        check_cronscaler(spec.cron_scaler)


def check_autoscaler(scaler: Autoscaler) -> None:
    """Metrics are not too many, none is nearly a known one, and most instances are not fewer than least.
    Raises InvalidSpec."""
    form = "scaleStrategies" if scaler.scale_strategies else "strategies"
    _not_too_many(("autoscaler", form), len(scaler.thresholds), MOST_METRICS, "metrics")
    for path, strategy in strategies_by_path(scaler):
        if expected := metric_names.meant(strategy.metric_name):
            raise refused(path, strategy.metric_name, expected)
    if scaler.max >= scaler.min:
        return
    if "max" in scaler.model_fields_set:
        raise refused(("autoscaler", "max"), scaler.max, f"at least autoscaler.min, {scaler.min}")
    raise refused(("autoscaler", "min"), scaler.min, f"at most autoscaler.max, {scaler.max} by default")


def check_cronscaler(scaler: CronScaler) -> None:
    """Jobs are not too many, each has a name of its own, and every time can be read. Raises InvalidSpec."""
    _not_too_many(("cronScaler", "ScaleJobs"), len(scaler.scale_jobs), MOST_JOBS, "jobs")
    _not_too_many(("cronScaler", "ExcludeDates"), len(scaler.exclude_dates), MOST_EXCLUDED, "expressions")
    names: dict[str, int] = {}
    for index, job in enumerate(scaler.scale_jobs):
        at = ("cronScaler", "ScaleJobs", index)
        if job.name in names:
            expected = f"a name other than that of ScaleJobs[{names[job.name]}]"
            raise refused((*at, "Name"), job.name, expected)
        names[job.name] = index
        cron.parse(job.schedule, path_of((*at, "Schedule")))
        cron.zone_of(job.time_zone, path_of((*at, "TimeZone")))
    for index, excluded in enumerate(scaler.exclude_dates):
        cron.parse(excluded, path_of(("cronScaler", "ExcludeDates", index)))


def _not_too_many(path: Path, count: int, most: int, noun: str) -> None:
    if count > most:
        raise refused(path, Words(f"{count} {noun}"), f"at most {most}")


def scaling_notices(spec: ServiceSpec) -> Iterator[Notice]:
    """What the author of these parts should know."""
    if spec.autoscaler is not None:
        yield from autoscaler_notices(spec.autoscaler)
        yield from own_metric_notices(spec.autoscaler, spec)
        yield from _first_size_notices(spec.autoscaler, spec)
    yield from _unnameable(spec)


def _first_size_notices(scaler: Autoscaler, spec: ServiceSpec) -> Iterator[Notice]:
    asked = spec.metadata.instance
    if "instance" not in spec.metadata.model_fields_set or not asked:
        return
    if (size := scaler.bounded(asked)) != asked:
        bounds = f"autoscaler has min {scaler.min} and max {scaler.max}"
        yield Notice("metadata.instance", f"{asked} is not within the bounds ({bounds}), so it is {size}")


def _unnameable(spec: ServiceSpec) -> Iterator[Notice]:
    """Metrics of the program that no policy can name."""
    for index, metric in enumerate(spec.metrics):
        if metric_names.custom_of(f"custom[{metric.name}]") is None or len(metric.name) > MOST_OF_A_NAME:
            why = f"no policy can name it: it has a bracket, an @ or more than {MOST_OF_A_NAME} characters"
            yield Notice(f"metrics[{index}].name", why)


def own_metric_notices(scaler: Autoscaler, spec: ServiceSpec) -> Iterator[Notice]:
    """Metrics of the service itself that it can never show."""
    for path, strategy in strategies_by_path(scaler):
        if strategy.service in (None, spec.name) and (why := never_shown(strategy.metric_name, spec)):
            yield Notice(path_of(path), why)


def strategies_by_path(scaler: Autoscaler) -> Iterator[tuple[Path, ScaleStrategy]]:
    """Both forms of strategies, each with where its metric is named."""
    news = len(scaler.scale_strategies)
    for index, strategy in enumerate(scaler.thresholds):
        new = ("autoscaler", "scaleStrategies", index, "metricName")
        yield new if index < news else ("autoscaler", "strategies", strategy.metric_name), strategy


def never_shown(metric: str, spec: ServiceSpec) -> str:
    """Why the instances of a service can never show a metric; empty when they can."""
    name, tag = metric_names.custom_of(metric) or ("", "")
    declared = next((each for each in spec.metrics if each.name == name), None)
    if name and declared is None:
        return f"{name[:80]!r} is not among the `metrics` of {spec.name!r}, so nothing is scaled in"
    if declared is not None and tag and tag not in declared.tag_names:
        return (
            f"{tag[:80]!r} is not among the `tags` of {name[:80]!r} in the `metrics` of {spec.name!r}, "
            "so nothing is scaled in"
        )
    if _GPU.match(metric) and not spec.metadata.gpu:
        return f"instances of {spec.name!r} have no GPU, so nothing is scaled in"
    return ""


def autoscaler_notices(scaler: Autoscaler) -> Iterator[Notice]:
    """Metrics that decide nothing, an autoscaler that follows none, and a waking that is cut short."""
    first: dict[tuple[str, str | None], Path] = {}
    for path, strategy in strategies_by_path(scaler):
        name, most = strategy.metric_name, metric_names.highest(strategy.metric_name)
        if not metric_names.measured(name):
            why = f"unknown metric {name[:80]!r}, so nothing is scaled in"
            yield Notice(path_of(path), f"{why}; qps, concurrency, cpu or rt[p99] are known")
        elif most is not None and strategy.threshold >= most:
            why = f"{name} is {most} at most, so a threshold of {strategy.threshold:g} never scales out"
            yield Notice(path_of(path), why)
        if (before := first.setdefault((name, strategy.service), path)) != path:
            yield Notice(path_of(path), f"{name} is also {path_of(before)}; the lower threshold decides")
    waking = scaler.behavior.on_zero.scale_up_activation_replicas
    if waking > scaler.max:
        key = ("autoscaler", "behavior", "onZero", "scaleUpActivationReplicas")
        yield Notice(path_of(key), f"{waking} is more than autoscaler.max, so {scaler.max} start on waking")
    # Who misspelt the key is told so already.
    if not scaler.thresholds and not scaler.model_extra:
        why = "no metric is named, so no load changes the number of instances"
        yield Notice(path_of(("autoscaler", "scaleStrategies")), why)
