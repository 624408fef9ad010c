"""Rules and hints that join several keys of `autoscaler` and `cronScaler`."""

import re
from collections.abc import Iterator

from libs.spec import cron
from libs.spec.autoscaler import Autoscaler, CronScaler
from libs.spec.refusal import path_of, refused
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
