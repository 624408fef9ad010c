"""What this node offers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from libs.domain.records import Gpu, Resources
from libs.domain.states import Runtime
from services.agent.reclaim import Reclaim

_CUDA = re.compile(r"cuda-(\d+\.\d+)")
_LARGE_CORES = 4
_LARGE_MEMORY_MIB = 8192


@dataclass(frozen=True)
class Inventory:
    """What the scheduler may place here, and where what runs here is reached."""

    capacity: Resources
    runtime: Runtime
    address: str
    zone: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    gpus: tuple[Gpu, ...] = ()
    gpu_note: str = ""
    gpu_driver_version: str = ""
    images: tuple[str, ...] = ()
    first_port: int = 0
    last_port: int = 0
    busy_ports: tuple[int, ...] = ()
    cuda_versions: tuple[str, ...] = ()
    # When the node is taken away, as its owner has announced.
    reclaim: Reclaim | None = None


@dataclass(frozen=True)
class Reserve:
    """What is kept for the system; None lets the size of the node decide."""

    cpu_milli: int | None = None
    memory_mib: int | None = None


def offered(cores: int, memory_mib: int, disk_mib: int, gpus: int, reserve: Reserve) -> Resources:
    """A node of four cores or more keeps one for the system, one of 8 GiB or more keeps 1 GiB."""
    cpu_kept, memory_kept = reserve.cpu_milli, reserve.memory_mib
    if cpu_kept is None:
        cpu_kept = 1000 if cores >= _LARGE_CORES else 0
    if memory_kept is None:
        memory_kept = 1024 if memory_mib >= _LARGE_MEMORY_MIB else 0
    return Resources(max(0, cores * 1000 - cpu_kept), max(0, memory_mib - memory_kept), disk_mib, gpus)


def cuda_versions(root: Path) -> tuple[str, ...]:
    """The versions of CUDA that lie in `root` as directories `cuda-X.Y`. Blocks shortly."""
    found = [_CUDA.fullmatch(each.name) for each in root.glob("cuda-*") if each.is_dir()]
    return tuple(sorted(match[1] for match in found if match))


def host_capacity(directory: Path, gpus: int, reserve: Reserve) -> Resources:
    """Of the machine this process runs on. Blocks shortly."""
    cores = psutil.cpu_count() or 1
    memory_mib = psutil.virtual_memory().total >> 20
    return offered(cores, memory_mib, psutil.disk_usage(str(directory)).free >> 20, gpus, reserve)
