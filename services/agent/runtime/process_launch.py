"""How the process runtime starts a workload, as the plain values that its launcher reads."""

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from libs.domain.causes import Cause
from services.agent.mounts import SHARED_MEMORY, Mount, MountKind
from services.agent.runtime.cgroups import ControlGroups
from services.agent.runtime.port import PrepareFailed, StartFailed
from services.agent.runtime.process_state import MARKER, InstanceDirectory
from services.agent.storage.sources import NfsSource
from services.agent.workload import Workload


@dataclass(frozen=True)
class ProcessSettings:
    """Where and how processes run. `inherited` is what every program finds in its environment."""

    directory: Path
    address: str
    ports: range
    inherited: Mapping[str, str] = field(default_factory=dict)
    log_bytes: int = 16 << 20
    control_groups: ControlGroups | None = None


@dataclass(frozen=True)
class Place:
    """What one run is given by its node: directory, port, virtual environment, control group, held lock."""

    directory: InstanceDirectory
    port: int
    venv: Path | None
    cgroup: str
    lock: int
    log_bytes: int


def launch_of(workload: Workload, inherited: Mapping[str, str], place: Place) -> dict[str, Any]:
    """What the launcher reads. Raises StartFailed when there is nothing to run."""
    return {
        "argv": argv_of(workload),
        "env": environment_of(workload, inherited, place),
        "cwd": str(place.directory.work),
        "root": str(place.directory.path / "root"),
        "mounts": mounts_of(workload, place.directory),
        "memory_mib": workload.memory_mib,
        "cgroup": place.cgroup,
        "log_bytes": place.log_bytes,
        "lock_fd": place.lock,
    }


def argv_of(workload: Workload) -> list[str]:
    """A script goes to the shell, a command does not. Raises StartFailed when there is neither."""
    if workload.script:
        return ["/bin/sh", "-c", workload.script]
    if not workload.command:
        raise StartFailed(
            "containers[0]: the process runtime has no image whose own entry point it could run; "
            "give script or command, or use the docker runtime"
        )
    try:
        return [*shlex.split(workload.command), *workload.args]
    except ValueError as unbalanced:
        raise StartFailed(f"containers[0].command: {unbalanced} in {workload.command!r}") from unbalanced


def environment_of(workload: Workload, inherited: Mapping[str, str], place: Place) -> dict[str, str]:
    """What the node gives, then what service.json gives, then what neither may change."""
    env = {"PYTHONUNBUFFERED": "1", **inherited, **dict(workload.env)}
    env |= {
        "EASEL_SERVICE": workload.service,
        "EASEL_INSTANCE": workload.id,
        MARKER: str(place.directory.path),
        "CUDA_VISIBLE_DEVICES": ",".join(workload.gpu_uuids),
    }
    if workload.port:
        env["PORT"] = str(place.port)
    if workload.metrics_url:
        env["EASEL_METRICS_URL"] = workload.metrics_url
    if place.venv is not None:
        env["VIRTUAL_ENV"] = str(place.venv)
        env["PATH"] = f"{place.venv / 'bin'}:{env.get('PATH', '/usr/bin:/bin')}"
    return env


def refuse_mounts(mounts: Sequence[Mount]) -> None:
    """Raises PrepareFailed for what a process cannot have mounted on this node."""
    for mount in mounts:
        if mount.kind is MountKind.IMAGE:
            raise PrepareFailed(
                f"{mount.path}: a directory of an image needs the docker runtime; this node runs processes",
                Cause.NOT_ON_THIS_NODE,
            )
        if mount.kind is MountKind.NFS and (os.getuid() != 0 or shutil.which("mount.nfs") is None):
            raise PrepareFailed(
                f"{mount.path}: NFS needs an agent that is root and the tool mount.nfs on the node (package "
                "nfs-common or nfs-utils), or the docker runtime",
                Cause.NOT_ON_THIS_NODE,
            )


def mounts_of(workload: Workload, directory: InstanceDirectory) -> list[dict[str, Any]]:
    """The mounts with the host directories behind them; those of the instance itself are created."""
    mounts = workload.mounts
    if workload.shm_mib and all(mount.path != SHARED_MEMORY for mount in mounts):
        mounts = (*mounts, Mount(SHARED_MEMORY, MountKind.MEMORY))
    return [
        {
            "path": mount.path,
            "kind": mount.kind.value,
            "source": _source(mount, directory),
            "read_only": mount.read_only,
            "options": mount.origin.options if isinstance(mount.origin, NfsSource) else "",
            "size_mib": mount.size_mib or (workload.shm_mib if mount.path == SHARED_MEMORY else 0),
        }
        for mount in mounts
    ]


def _source(mount: Mount, directory: InstanceDirectory) -> str:
    if mount.kind is MountKind.EMPTY:
        return str(directory.empty(mount.source))
    return mount.origin.name if isinstance(mount.origin, NfsSource) else mount.source


def host_path(workload: Workload, path: str) -> Path:
    """Where on the host the file is that the program sees as `path`.

    Raises PrepareFailed when links of the mount lead out of it: the agent may read more than the program.
    """
    for mount in workload.mounts:
        if mount.kind is MountKind.BIND and Path(path).is_relative_to(mount.path):
            found = Path(mount.source) / Path(path).relative_to(mount.path)
            if not found.resolve().is_relative_to(Path(mount.source).resolve()):
                raise PrepareFailed(f"{path}: a link leads out of what is mounted at {mount.path}")
            return found
    return Path(path)
