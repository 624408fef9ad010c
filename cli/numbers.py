"""Measured numbers as a person reads them. Pure."""

from cli.progress import size_text
from cli.traffic_numbers import Quantile

# In place of what is not known.
UNKNOWN = "–"
# Names of measures, without what stands in brackets, by how they are read.
_PERCENTS = ("cpu", "memory", "gpu", "gpu_memory", "disk", "util")
_RATES = ("qps", "errors", "status", "refused")
_BYTES_A_SECOND = ("bytes_in", "bytes_out", "net_in", "net_out")


def amount(value: float) -> str:
    """With as many digits as it needs: 0, 0.42, 7.3, 120."""
    if value == round(value) or abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 1 else f"{value:.2g}"


def measured(measure: str, value: float | None) -> str:
    """A number with its unit, as its measure has it."""
    if value is None:
        return UNKNOWN
    name = measure.partition("[")[0]
    if name == "rt":
        # No request takes no time: of nothing there is no latency.
        return str(Quantile(value)) if value else UNKNOWN
    if name in _PERCENTS:
        return f"{amount(round(value, 1))}%"
    if name == "error_rate":
        return f"{amount(round(100 * value, 2))}%"
    if name in _RATES:
        return f"{amount(value)}/s"
    if name in _BYTES_A_SECOND:
        return f"{size_text(round(value))}/s"
    if name == "memory_bytes":
        return size_text(round(value))
    if name == "power":
        return f"{amount(round(value))} W"
    if name == "temperature":
        return f"{amount(round(value))} °C"
    return amount(value)
