"""All that a card tells of what it does right now. NVML blocks: call from a thread."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pynvml

from libs.domain.records import Gpu

T = TypeVar("T")
_MEGA = 1_000_000
# Why clocks are held down. That nothing is to be done is no such reason.
_REASONS = {
    0x002: "applications_clocks_setting",
    0x004: "sw_power_cap",
    0x008: "hw_slowdown",
    0x010: "sync_boost",
    0x020: "sw_thermal_slowdown",
    0x040: "hw_thermal_slowdown",
    0x080: "hw_power_brake_slowdown",
    0x100: "display_clock_setting",
}


@dataclass(frozen=True)
class GpuReading:
    """One device. What it does not tell is None. One that does not answer is not healthy."""

    uuid: str
    index: int
    model: str
    healthy: bool = True
    utilization_percent: float | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    power_watts: float | None = None
    temperature_celsius: float | None = None
    sm_clock_hertz: int | None = None
    memory_clock_hertz: int | None = None
    ecc_corrected: int | None = None
    ecc_uncorrected: int | None = None
    throttle_reasons: tuple[str, ...] = ()
    # How often each code was heard since the agent started.
    xids: Mapping[int, int] = field(default_factory=dict)


def reading_of(card: str, gpu: Gpu, xids: Mapping[int, int]) -> GpuReading:
    """A device, which is a card or a part of it, by the UUIDs of both.

    Power, temperature, clocks and errors are those of the card. Raises NVMLError when it does not answer.
    """
    parent = pynvml.nvmlDeviceGetHandleByUUID(card)
    device = pynvml.nvmlDeviceGetHandleByUUID(gpu.uuid)
    rates = told(pynvml.nvmlDeviceGetUtilizationRates, device)
    memory = told(pynvml.nvmlDeviceGetMemoryInfo, device)
    milliwatts = told(pynvml.nvmlDeviceGetPowerUsage, parent)
    corrected, bad = pynvml.NVML_MEMORY_ERROR_TYPE_CORRECTED, pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED
    return GpuReading(
        uuid=gpu.uuid,
        index=gpu.index,
        model=gpu.model,
        utilization_percent=None if rates is None else float(rates.gpu),
        memory_used_bytes=None if memory is None else int(memory.used),
        memory_total_bytes=None if memory is None else int(memory.total),
        power_watts=None if milliwatts is None else milliwatts / 1000,
        temperature_celsius=told(pynvml.nvmlDeviceGetTemperature, parent, pynvml.NVML_TEMPERATURE_GPU),
        sm_clock_hertz=_clock(parent, pynvml.NVML_CLOCK_SM),
        memory_clock_hertz=_clock(parent, pynvml.NVML_CLOCK_MEM),
        ecc_corrected=_ecc(parent, corrected),
        ecc_uncorrected=_ecc(parent, bad),
        throttle_reasons=_reasons(parent),
        xids=xids,
    )


def told(ask: Callable[..., T], *arguments: Any) -> T | None:
    """The answer; None from a card or driver that does not know. Raises NVMLError for a card that is lost."""
    try:
        return ask(*arguments)
    except pynvml.NVMLError as refused:
        if refused.value == pynvml.NVML_ERROR_GPU_IS_LOST:
            raise
        return None


def _clock(card: Any, kind: int) -> int | None:
    megahertz = told(pynvml.nvmlDeviceGetClockInfo, card, kind)
    return None if megahertz is None else int(megahertz) * _MEGA


def _ecc(card: Any, kind: int) -> int | None:
    """Since the driver started."""
    errors: int | None = told(pynvml.nvmlDeviceGetTotalEccErrors, card, kind, pynvml.NVML_VOLATILE_ECC)
    return errors


def _reasons(card: Any) -> tuple[str, ...]:
    bits: int | None = told(pynvml.nvmlDeviceGetCurrentClocksEventReasons, card)
    if bits is None:  # As drivers before 535 call it.
        bits = told(pynvml.nvmlDeviceGetCurrentClocksThrottleReasons, card)
    return tuple(name for bit, name in _REASONS.items() if (bits or 0) & bit)
