"""The GPUs of this node as NVML tells them. NVML blocks: call from a thread; `GpuWatch` has its own."""

import ctypes
import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pynvml

from libs.domain.gpu_troubles import GpuTrouble
from libs.domain.records import Gpu
from services.agent.gpu_readings import GpuReading, reading_of
from services.agent.gpu_troubles import Troubles

log = logging.getLogger(__name__)

T = TypeVar("T")
_EVENT_WAIT_MS = 500
_BAD = pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED


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


@dataclass(frozen=True)
class _Card:
    """One card as it last answered: itself, or the MIG devices that it is split into."""

    uuid: str
    index: int
    devices: tuple[Gpu, ...]


@dataclass
class _Look:
    """What is wrong: with cards that answered before, by UUID, and with places where none ever did."""

    broken: dict[str, str] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    silent: list[str] = field(default_factory=list)

    def failed(self, index: int, error: Exception, silent: Iterable[_Card]) -> None:
        why = f"GPU {index} does not answer: {error}"
        card = next((card for card in silent if card.index == index), None)
        if card is None:
            self.silent.append(why)
            return
        self.broken[card.uuid] = why
        if getattr(error, "value", None) == pynvml.NVML_ERROR_GPU_IS_LOST:
            self.lost.add(card.uuid)


class Nvml:
    """The driver's library. A node without it has no GPU and says why."""

    def __init__(self) -> None:
        # By UUID, every card that ever answered.
        self._cards: dict[str, _Card] = {}
        # Those of them that did not answer at the last look.
        self._broken: frozenset[str] = frozenset()
        self.troubles = Troubles()
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
        looked = self._look()
        gpus: list[Gpu] = []
        for card in self._cards.values():
            why = looked.broken.get(card.uuid)
            gpus += [replace(gpu, healthy=False, why=why) for gpu in card.devices] if why else card.devices
        self._broken = frozenset(looked.broken)
        self.troubles.lost_now(looked.lost)
        note = "; ".join(looked.silent) or ("" if gpus else "the NVIDIA driver shows no GPU")
        version = _or(pynvml.nvmlSystemGetDriverVersion, "")
        gpus.sort(key=lambda gpu: (gpu.index, gpu.uuid))
        return GpuInventory(tuple(gpus), note, str(version))

    def told(self) -> tuple[GpuTrouble, ...]:
        """Everything that went wrong since the start."""
        return self.troubles.told({card.uuid: [gpu.uuid for gpu in card.devices] for card in self._all()})

    def telemetry(self) -> tuple[Telemetry, ...]:
        """One reading of each device of the last inventory that answers."""
        if not self.present:
            return ()
        readings = []
        for card in self._all():
            try:
                parent = pynvml.nvmlDeviceGetHandleByUUID(card.uuid)
                readings += [_reading(parent, gpu, self.troubles.xids(card.uuid)) for gpu in card.devices]
            except pynvml.NVMLError:
                continue
        return tuple(readings)

    def readings(self) -> tuple[GpuReading, ...]:
        """All that each device of the last inventory tells; one that does not answer says so."""
        found = []
        for card in self._all() if self.present else ():
            xids = self.troubles.xid_counts(card.uuid)
            for gpu in card.devices:
                silent = GpuReading(gpu.uuid, gpu.index, gpu.model, healthy=False, xids=xids)
                try:
                    found.append(silent if card.uuid in self._broken else reading_of(card.uuid, gpu, xids))
                except pynvml.NVMLError:
                    found.append(silent)
        return tuple(found)

    def _all(self) -> tuple[_Card, ...]:
        return tuple(self._cards.values())

    def _look(self) -> _Look:
        """Asks every card, and remembers those that answer."""
        look = _Look()
        answered: set[str] = set()
        count = _or(pynvml.nvmlDeviceGetCount, None)
        # A driver that is taken away under the agent answers nothing, which is no word about its cards.
        most = max((card.index for card in self._all()), default=-1) + 1
        for index in range(most if count is None else count):
            try:
                handle = pynvml.nvmlDeviceGetHandleByIndex(index)
                uuid = _text(pynvml.nvmlDeviceGetUUID(handle))
                self._cards[uuid] = _Card(uuid, index, tuple(_devices(handle, index)))
                answered.add(uuid)
                if (errors := _ecc(handle)) is not None:
                    self.troubles.read_ecc(uuid, errors)
            except pynvml.NVMLError as failed:
                look.failed(index, failed, (card for card in self._all() if card.uuid not in answered))
        for card in self._all():
            if card.uuid not in answered and card.uuid not in look.broken:
                look.broken[card.uuid] = f"GPU {card.index} is not listed by the driver any more"
                look.lost.add(card.uuid)
        return look

    def close(self) -> None:
        """Safe to call twice."""
        if self.present:
            self.note = "closed"
            pynvml.nvmlShutdown()


class GpuWatch:
    """Hears XID events in a thread of its own and calls `heard` from there."""

    def __init__(self, nvml: Nvml, heard: Callable[[str, int], None]) -> None:
        self._nvml, self._heard = nvml, heard
        self._uuids: dict[int | None, str] = {}
        # Set once errors that happen are heard.
        self.registered = threading.Event()
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
            self.registered.set()
            while not self._stop.is_set():
                try:
                    event = pynvml.nvmlEventSetWait_v2(events, _EVENT_WAIT_MS)
                    self._note(event.device, int(event.eventData))
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
                self._uuids[_address(handle)] = _text(pynvml.nvmlDeviceGetUUID(handle))
                pynvml.nvmlDeviceRegisterEvents(handle, pynvml.nvmlEventTypeXidCriticalError, events)
                registered = True
            except pynvml.NVMLError as unsupported:
                log.info("no XID events from GPU", extra={"gpu": index, "why": str(unsupported)})
        return registered

    def _note(self, handle: Any, xid: int) -> None:
        # A card that fell off the bus does not even tell its name any more.
        uuid = self._uuids.get(_address(handle)) or _text(pynvml.nvmlDeviceGetUUID(handle))
        self._nvml.troubles.heard_xid(uuid, xid)
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
    sensor = pynvml.NVML_TEMPERATURE_GPU
    return Telemetry(
        uuid=gpu.uuid,
        utilisation_percent=int(rates.gpu) if rates is not None else 0,
        memory_used_mib=int(memory.used) >> 20,
        power_watts=round(_or(pynvml.nvmlDeviceGetPowerUsage, 0, parent) / 1000),
        temperature_celsius=int(_or(pynvml.nvmlDeviceGetTemperature, 0, parent, sensor)),
        ecc_uncorrected=_ecc(parent) or 0,
        xids=xids,
    )


def _ecc(card: Any) -> int | None:
    """Errors that could not be corrected since the driver started; None where nobody counts them."""
    errors: int | None = _or(pynvml.nvmlDeviceGetTotalEccErrors, None, card, _BAD, pynvml.NVML_VOLATILE_ECC)
    return errors


def _address(handle: Any) -> int | None:
    """What a handle points to; the driver gives the same pointer for the same card."""
    return ctypes.cast(handle, ctypes.c_void_p).value


def _or(ask: Callable[..., T], otherwise: T, *arguments: Any) -> T:
    """The answer, or `otherwise` from a card that does not know."""
    try:
        return ask(*arguments)
    except pynvml.NVMLError:
        return otherwise


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
