"""The GPUs of this node as NVML tells them. NVML blocks: call from a thread; `GpuWatch` has its own."""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pynvml

from libs.domain.records import Gpu

log = logging.getLogger(__name__)

T = TypeVar("T")
_EVENT_WAIT_MS = 500
# Errors of the card or its link; the others come from the program that used it.
_BROKEN_BY_XID = {
    48: "double-bit memory error",
    62: "internal micro-controller halt",
    64: "memory could not be retired",
    74: "NVLink error",
    79: "fell off the bus",
    95: "uncontained memory error",
    119: "GPU system processor does not answer",
    120: "GPU system processor error",
    140: "unrecovered memory error",
}


@dataclass(frozen=True)
class Telemetry:
    """What one GPU does right now. What the card does not tell is 0."""

    uuid: str
    utilisation_percent: int = 0
    memory_used_mib: int = 0
    power_watts: int = 0
    temperature_celsius: int = 0
    ecc_uncorrected: int = 0
    xids: tuple[int, ...] = ()


@dataclass(frozen=True)
class GpuInventory:
    """The devices, or `note`: why there are none, or which do not answer."""

    gpus: tuple[Gpu, ...] = ()
    note: str = ""
    driver_version: str = ""


def judged(gpus: tuple[Gpu, ...], xids: Mapping[str, tuple[int, ...]]) -> tuple[Gpu, ...]:
    """The devices with those marked that an XID event has shown to be broken."""
    return tuple(_judged(gpu, xids.get(gpu.uuid, ())) for gpu in gpus)


def _judged(gpu: Gpu, xids: tuple[int, ...]) -> Gpu:
    broken = next((xid for xid in xids if xid in _BROKEN_BY_XID), None)
    if broken is None or not gpu.healthy:
        return gpu
    return replace(gpu, healthy=False, why=f"XID {broken}: {_BROKEN_BY_XID[broken]}")


class Nvml:
    """The driver's library. A node without it has no GPU and says why."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Gpu, ...]] = {}
        self.xids: dict[str, tuple[int, ...]] = {}
        self.note = ""
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError as absent:
            self.note = f"no NVIDIA driver answers on this node ({absent}); it takes CPU work only"

    @property
    def present(self) -> bool:
        return not self.note

    def inventory(self) -> GpuInventory:
        """Every whole GPU, or its MIG devices where it is split. A card that fails is shown as unhealthy."""
        if not self.present:
            return GpuInventory(note=self.note)
        gpus: list[Gpu] = []
        silent: list[str] = []
        # A driver that is taken away under the agent answers nothing: what it had is shown as unhealthy.
        for index in range(_or(pynvml.nvmlDeviceGetCount, max(self._known, default=-1) + 1)):
            try:
                self._known[index] = tuple(_devices(pynvml.nvmlDeviceGetHandleByIndex(index), index))
                gpus += self._known[index]
            except pynvml.NVMLError as failed:
                why = f"GPU {index} does not answer: {failed}"
                known = self._known.get(index, ())
                gpus += [replace(gpu, healthy=False, why=why) for gpu in known]
                silent += [] if known else [why]
        note = "; ".join(silent) or ("" if gpus else "the NVIDIA driver shows no GPU")
        version = _or(pynvml.nvmlSystemGetDriverVersion, "")
        return GpuInventory(judged(tuple(gpus), self.xids), note, str(version))

    def telemetry(self) -> tuple[Telemetry, ...]:
        """One reading of each device of the last inventory that answers."""
        if not self.present:
            return ()
        readings = []
        for index, gpus in self._known.items():
            try:
                parent = pynvml.nvmlDeviceGetHandleByIndex(index)
                readings += [_reading(parent, gpu, self.xids.get(gpu.uuid, ())) for gpu in gpus]
            except pynvml.NVMLError:
                continue
        return tuple(readings)

    def close(self) -> None:
        """Safe to call twice."""
        if self.present:
            self.note = "closed"
            pynvml.nvmlShutdown()


class GpuWatch:
    """Hears XID events in a thread of its own and calls `heard` from there."""

    def __init__(self, nvml: Nvml, heard: Callable[[str, int], None]) -> None:
        self._nvml, self._heard = nvml, heard
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="gpu-events", daemon=True)

    def start(self) -> None:
        if self._nvml.present:
            self._thread.start()

    def close(self) -> None:
        """Ends within a second."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2 * _EVENT_WAIT_MS / 1000)

    def _listen(self) -> None:
        events = pynvml.nvmlEventSetCreate()
        try:
            if not self._register(events):
                return
            while not self._stop.is_set():
                try:
                    event = pynvml.nvmlEventSetWait_v2(events, _EVENT_WAIT_MS)
                    uuid = _text(pynvml.nvmlDeviceGetUUID(event.device))
                    self._note(uuid, int(event.eventData))
                except pynvml.NVMLError as silent:
                    if silent.value != pynvml.NVML_ERROR_TIMEOUT:
                        self._stop.wait(_EVENT_WAIT_MS / 1000)
        finally:
            pynvml.nvmlEventSetFree(events)

    def _register(self, events: Any) -> bool:
        registered = False
        for index in range(pynvml.nvmlDeviceGetCount()):
            try:
                handle = pynvml.nvmlDeviceGetHandleByIndex(index)
                pynvml.nvmlDeviceRegisterEvents(handle, pynvml.nvmlEventTypeXidCriticalError, events)
                registered = True
            except pynvml.NVMLError as unsupported:
                log.info("no XID events from GPU", extra={"gpu": index, "why": str(unsupported)})
        return registered

    def _note(self, uuid: str, xid: int) -> None:
        known = self._nvml.xids.get(uuid, ())
        if xid not in known:
            self._nvml.xids[uuid] = (*known, xid)
        self._heard(uuid, xid)


def _devices(handle: Any, index: int) -> list[Gpu]:
    model = _text(pynvml.nvmlDeviceGetName(handle))
    parts = _mig_devices(handle)
    if parts:
        return [_gpu(part, index, _text(_or(pynvml.nvmlDeviceGetName, model, part))) for part in parts]
    return [_gpu(handle, index, model)]


def _gpu(handle: Any, index: int, model: str) -> Gpu:
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return Gpu(_text(pynvml.nvmlDeviceGetUUID(handle)), index, model, int(memory.total) >> 20)


def _mig_devices(handle: Any) -> list[Any]:
    mode = _or(pynvml.nvmlDeviceGetMigMode, (0, 0), handle)[0]
    if mode != pynvml.NVML_DEVICE_MIG_ENABLE:
        return []
    found = []
    for part in range(pynvml.nvmlDeviceGetMaxMigDeviceCount(handle)):
        try:
            found.append(pynvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, part))
        except pynvml.NVMLError_NotFound:
            continue
    return found


def _reading(parent: Any, gpu: Gpu, xids: tuple[int, ...]) -> Telemetry:
    handle = pynvml.nvmlDeviceGetHandleByUUID(gpu.uuid)
    rates = _or(pynvml.nvmlDeviceGetUtilizationRates, None, handle)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    sensor, counter = pynvml.NVML_TEMPERATURE_GPU, pynvml.NVML_VOLATILE_ECC
    bad = pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED
    return Telemetry(
        uuid=gpu.uuid,
        utilisation_percent=int(rates.gpu) if rates is not None else 0,
        memory_used_mib=int(memory.used) >> 20,
        power_watts=round(_or(pynvml.nvmlDeviceGetPowerUsage, 0, parent) / 1000),
        temperature_celsius=int(_or(pynvml.nvmlDeviceGetTemperature, 0, parent, sensor)),
        ecc_uncorrected=int(_or(pynvml.nvmlDeviceGetTotalEccErrors, 0, parent, bad, counter)),
        xids=xids,
    )


def _or(ask: Callable[..., T], otherwise: T, *arguments: Any) -> T:
    """The answer, or `otherwise` from a card that does not know."""
    try:
        return ask(*arguments)
    except pynvml.NVMLError:
        return otherwise


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
