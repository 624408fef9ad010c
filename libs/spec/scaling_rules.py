"""Rules and hints that join several keys of `autoscaler` and `cronScaler`."""

import re
from collections.abc import Iterator

from libs.spec import cron
from libs.spec.autoscaler import Autoscaler, CronScaler, ScaleStrategy
from libs.spec.refusal import Path, path_of, refused
from libs.spec.service import ServiceSpec
from libs.spec.suggestions import Notice

_METRICS = frozenset(
    {
        "qps",
        "qps1k",
        "concurrency",
        "in_flight",
        "waiting",
        "errors",
        "error_rate",
        "refused",
        "bytes_in",
        "bytes_out",
        "cpu",
        "memory",
        "memory_bytes",
        "gpu",
        "gpu[util]",
        "gpu_memory",
        "rt[p50]",
        "rt[p90]",
        "rt[p99]",
        "rt[avg]",
    }
)
_CUSTOM = re.compile(r"custom\[([^\[\]]+)\]")
_GPU = re.compile(r"gpu(\[util\]|_memory)?$")
_FAMILIES = re.compile(r"status\[[1-5]xx\]|custom\[.+\]")


def sizes_can_be_chosen(spec: ServiceSpec) -> None:
    """What the autoscaler and the schedule ask for can be done. Raises InvalidSpec."""
    if spec.autoscaler is not None:
        check_autoscaler(spec.autoscaler)
    if spec.cron_scaler is not None:
        check_cronscaler(spec.cron_scaler)


def check_autoscaler(scaler: Autoscaler) -> None:
    """The most instances are not fewer than the least. Raises InvalidSpec."""
    if scaler.max >= scaler.min:
        return
    if "max" in scaler.model_fields_set:
        raise refused(("autoscaler", "max"), scaler.max, f"at least autoscaler.min, {scaler.min}")
    raise refused(("autoscaler", "min"), scaler.min, f"at most autoscaler.max, {scaler.max} by default")


def check_cronscaler(scaler: CronScaler) -> None:
    """Every time can be read, and every job has a name of its own. Raises InvalidSpec."""
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


def scaling_notices(spec: ServiceSpec) -> Iterator[Notice]:
    """What the author of these parts should know."""
    if spec.autoscaler is not None:
        yield from autoscaler_notices(spec.autoscaler)
        yield from own_metric_notices(spec.autoscaler, spec)


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
    custom = _CUSTOM.match(metric)
    if custom and custom[1] not in (each.name for each in spec.metrics):
        return f"{custom[1][:80]!r} is not among the `metrics` of {spec.name!r}, so nothing is scaled in"
    if _GPU.match(metric) and not spec.metadata.gpu:
        return f"instances of {spec.name!r} have no GPU, so nothing is scaled in"
    return ""


def autoscaler_notices(scaler: Autoscaler) -> Iterator[Notice]:
    """Metrics that nobody measures, and an autoscaler that follows none."""
    for index, strategy in enumerate(scaler.scale_strategies):
        if not _measured(strategy.metric_name):
            path = path_of(("autoscaler", "scaleStrategies", index, "metricName"))
            yield Notice(path, _unknown(strategy.metric_name))
    for name in scaler.strategies:
        if not _measured(name):
            yield Notice(path_of(("autoscaler", "strategies", name)), _unknown(name))
    # Who misspelt the key is told so already.
    if not scaler.thresholds and not scaler.model_extra:
        why = "no metric is named, so no load changes the number of instances"
        yield Notice(path_of(("autoscaler", "scaleStrategies")), why)


def _measured(name: str) -> bool:
    return name in _METRICS or _FAMILIES.fullmatch(name) is not None


def _unknown(name: str) -> str:
    return (
        f"unknown metric {name[:80]!r}, so nothing is scaled in; qps, concurrency, cpu or rt[p99] are known"
    )
