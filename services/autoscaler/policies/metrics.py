"""The names of metrics that policies may have: totals of a service, and means of its instances."""

import re

_TOTALS = frozenset(
    {
        "qps",
        "qps1k",
        "concurrency",
        "in_flight",
        "waiting",
        "errors",
        "refused",
        "bytes_in",
        "bytes_out",
        "instances",
        "wanted",
    }
)
_MEANS = frozenset({"cpu", "memory", "memory_bytes", "gpu", "gpu[util]", "gpu_memory", "error_rate"})
_STATUS = re.compile(r"status\[[1-5]xx\]")
_MEAN = re.compile(r"rt\[(p50|p90|p99|avg)\]|custom\[[^\[\]]+\](@[^@\[\]]+\[[^\[\]]*\])?")


def is_total(metric: str) -> bool:
    """Whether it is of all instances together."""
    return metric in _TOTALS or _STATUS.fullmatch(metric) is not None


def is_known(metric: str) -> bool:
    """Whether anybody measures it; what nobody does is missing."""
    return is_total(metric) or metric in _MEANS or _MEAN.fullmatch(metric) is not None


def of_requests(metric: str) -> bool:
    """Whether it says something about answers, and nothing where there was no request."""
    return metric.startswith("rt[") or metric == "error_rate"
