"""What the node as a whole uses. Blocks shortly: call from a thread."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import psutil

T = TypeVar("T")
_SYS = Path("/sys")


@dataclass(frozen=True)
class NodeUse:
    """Sums count from the node's start. Disks and network are None where they cannot be seen."""

    cpu_seconds: float
    cpu_cores: float
    memory_used_bytes: int
    memory_total_bytes: int
    disk_used_bytes: int
    disk_total_bytes: int
    disk_read_bytes: int | None = None
    disk_written_bytes: int | None = None
    network_received_bytes: int | None = None
    network_sent_bytes: int | None = None


def use_of_node(directory: Path) -> NodeUse:
    """The disk is the one that holds `directory`."""
    times, memory, disk = psutil.cpu_times(), psutil.virtual_memory(), psutil.disk_usage(str(directory))
    drives = real(psutil.disk_io_counters(perdisk=True) or {}, "block")
    cards = real(psutil.net_io_counters(pernic=True), "class/net")
    return NodeUse(
        # Guests are counted in user already, and waiting for a disk is no work.
        cpu_seconds=times.user + times.nice + times.system + times.irq + times.softirq,
        cpu_cores=float(psutil.cpu_count() or 1),
        memory_used_bytes=memory.total - memory.available,
        memory_total_bytes=memory.total,
        disk_used_bytes=disk.used,
        disk_total_bytes=disk.total,
        disk_read_bytes=_sum(each.read_bytes for each in drives),
        disk_written_bytes=_sum(each.write_bytes for each in drives),
        network_received_bytes=_sum(each.bytes_recv for each in cards),
        network_sent_bytes=_sum(each.bytes_sent for each in cards),
    )


def real(counters: Mapping[str, T], kind: str, system: Path = _SYS) -> list[T]:
    """Those of devices that are hardware, so that nothing counts again in what is made of it.

    Where nothing is, as in a container, all but loopbacks and the parts of disks.
    """
    hardware = [each for name, each in counters.items() if (system / kind / name / "device").exists()]
    if hardware:
        return hardware
    loops = ("lo", "loop", "ram")
    whole = (name for name in counters if (system / kind / name).exists())
    return [counters[name] for name in whole if name.rstrip("0123456789") not in loops]


def _sum(numbers: Iterable[int]) -> int | None:
    found = list(numbers)
    return sum(found) if found else None
