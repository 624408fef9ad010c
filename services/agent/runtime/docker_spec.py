"""A workload as the values of a container, and a container's labels as facts: pure."""

import shlex
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from docker.types import DeviceRequest

from libs.domain.causes import Cause
from services.agent.mounts import SHARED_MEMORY, Mount, MountKind
from services.agent.runtime.docker_environment import Installed, mount_of, with_requirements
from services.agent.runtime.port import Attempt, Exit, Running
from services.agent.runtime.process_state import cause_of_code, signal_name
from services.agent.storage.sources import NfsSource
from services.agent.workload import Workload

NODE = "easel.node"
INSTANCE = "easel.instance"
# Exit codes whose reason is in the last lines of the log.
TELLING = (126, 127)
_LOG = {"type": "json-file", "config": {"max-size": "8m", "max-file": "2"}}
_NOT_STARTED = "[FATAL tini"
_SIGNALLED = 128
_START_CAUSES = (
    ("no space left on device", Cause.NO_SPACE),
    ("port is already allocated", Cause.PORT_TAKEN),
    ("address already in use", Cause.PORT_TAKEN),
    ("executable file not found", Cause.COMMAND_NOT_FOUND),
    ("no such file or directory", Cause.COMMAND_NOT_FOUND),
    ("permission denied", Cause.COMMAND_NOT_FOUND),
)


def labels_of(workload: Workload, attempt: Attempt, node: str, now: datetime) -> dict[str, str]:
    """Everything a new agent has to know of the container."""
    return {
        NODE: node,
        INSTANCE: workload.id,
        "easel.service": workload.service,
        "easel.version": str(workload.version),
        "easel.epoch": str(workload.epoch),
        "easel.spec": workload.spec_hash,
        "easel.gpus": ",".join(workload.gpu_uuids),
        "easel.port": str(workload.port),
        "easel.restarts": str(attempt.restarts),
        "easel.streak": str(attempt.streak),
        "easel.started": now.isoformat(),
        "easel.grace": str(workload.grace.total_seconds()),
        "easel.sigterm": str(workload.sigterm).lower(),
        "easel.memory": str(workload.memory_mib),
        "easel.run": str(workload.run),
    }


def running_from(labels: Mapping[str, str], address: str, port: int, ended: Exit | None) -> Running:
    """The facts of a container. Raises KeyError when the labels are not Easel's."""
    return Running(
        id=labels[INSTANCE],
        service=labels["easel.service"],
        version=int(labels["easel.version"]),
        epoch=int(labels["easel.epoch"]),
        spec_hash=labels["easel.spec"],
        attempt=Attempt(int(labels["easel.restarts"]), int(labels["easel.streak"])),
        address=address,
        port=port,
        started_at=datetime.fromisoformat(labels["easel.started"]),
        gpu_uuids=tuple(uuid for uuid in labels["easel.gpus"].split(",") if uuid),
        exit=ended,
        listens=labels["easel.port"] != "0",
        grace=timedelta(seconds=float(labels["easel.grace"])),
        sigterm=labels["easel.sigterm"] == "true",
        run=int(labels.get("easel.run", "0")),
    )


def argv_of(workload: Workload) -> list[str] | None:
    """What runs in place of the image's own entry point; None for that one."""
    if workload.script:
        return ["/bin/sh", "-c", workload.script]
    return [*shlex.split(workload.command), *workload.args] if workload.command else None


def environment_of(workload: Workload) -> dict[str, str]:
    """What service.json gives, and what it may not change."""
    env = {"PYTHONUNBUFFERED": "1", **dict(workload.env)}
    env |= {"EASEL_SERVICE": workload.service, "EASEL_INSTANCE": workload.id}
    if workload.port:
        env["PORT"] = str(workload.port)
    if workload.metrics_url:
        env["EASEL_METRICS_URL"] = workload.metrics_url
    if not workload.gpu_uuids:
        env["NVIDIA_VISIBLE_DEVICES"] = "void"
    return env


def volume_of(workload: Workload, name: str) -> str:
    """The engine's name for an empty directory of the instance."""
    return f"easel-{workload.id}-{name}"


def mounts_of(
    workload: Workload, node: str, directories: Mapping[str, str] = MappingProxyType({})
) -> tuple[list[str], list[dict[str, Any]]]:
    """Binds, whose host directory the engine makes where it is missing, and mounts, where it refuses.

    `directories` are the volumes that hold directories of images, by the path of their mount.
    """
    binds = [
        f"{mount.source}:{mount.path}:rw"
        for mount in workload.mounts
        if mount.kind is MountKind.BIND and not mount.read_only
    ]
    mounts = (_mount_of(workload, mount, node, directories) for mount in workload.mounts)
    return binds, [mount for mount in mounts if mount]


def _mount_of(
    workload: Workload, mount: Mount, node: str, directories: Mapping[str, str]
) -> dict[str, Any] | None:
    labels = {NODE: node, INSTANCE: workload.id}
    base: dict[str, Any] = {"Target": mount.path, "ReadOnly": mount.read_only}
    match mount.kind:
        case MountKind.BIND if mount.read_only:
            return {**base, "Type": "bind", "Source": mount.source}
        case MountKind.EMPTY:
            options: dict[str, Any] = {"Labels": labels}
            return {**_volume(base, volume_of(workload, mount.source), options), "ReadOnly": False}
        case MountKind.NFS if isinstance(mount.origin, NfsSource):
            driver = {"Name": "local", "Options": nfs_options(mount.origin, mount.read_only)}
            options = {"Labels": labels, "DriverConfig": driver, "NoCopy": True}
            return _volume(base, volume_of(workload, mount.source), options)
        case MountKind.IMAGE:
            return {**_volume(base, directories[mount.path], {"NoCopy": True}), "ReadOnly": True}
        case MountKind.MEMORY if mount.path != SHARED_MEMORY:
            size = {"SizeBytes": mount.size_mib << 20} if mount.size_mib else {}
            return {**base, "Type": "tmpfs", "TmpfsOptions": size}
    return None


def _volume(base: Mapping[str, Any], name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    return {**base, "Type": "volume", "Source": name, "VolumeOptions": options}


def nfs_options(source: NfsSource, read_only: bool) -> dict[str, str]:
    """What the engine's own volume driver is told, version 4 of NFS unless the owner names another."""
    named = [option for option in source.options.split(",") if option]
    versions = any(option.partition("=")[0] in ("nfsvers", "vers") for option in named)
    usual = [] if versions else ["nfsvers=4"]
    access = "ro" if read_only or "ro" in named else "rw"
    kept = [option for option in named if option not in ("ro", "rw")]
    words = [f"addr={source.server}", access, *usual, *kept]
    return {"type": "nfs", "o": ",".join(words), "device": f":{source.export}"}


def container_of(workload: Workload, installed: Installed | None) -> dict[str, Any]:
    """What of a container is not about its host."""
    argv, env = argv_of(workload), environment_of(workload)
    return {
        "entrypoint": argv[:1] if argv else None,
        "command": argv[1:] if argv else None,
        "environment": with_requirements(env, installed) if installed is not None else env,
        "ports": [workload.port] if workload.port else None,
    }


def host_of(
    workload: Workload, directories: Mapping[str, str], installed: Installed | None, node: str
) -> dict[str, Any]:
    """What a container takes of its host, without its network."""
    binds, mounts = mounts_of(workload, node, directories)
    gpus = [DeviceRequest(device_ids=list(workload.gpu_uuids), capabilities=[["gpu"]])]
    return {
        "binds": binds,
        "mounts": [*mounts, mount_of(installed.volume, read_only=True)] if installed is not None else mounts,
        "nano_cpus": workload.cpu_milli * 1_000_000 or None,
        "mem_limit": workload.memory_mib << 20 or None,
        "memswap_limit": workload.memory_mib << 20 or None,
        "shm_size": workload.shm_mib << 20 or None,
        "device_requests": gpus if workload.gpu_uuids else None,
        "restart_policy": {"Name": "no"},
        "log_config": _LOG,
        "init": True,
    }


def exit_from(state: Mapping[str, Any], memory_mib: int, last_lines: str = "", *, begun_at: datetime) -> Exit:
    """How a container ended, from the engine's account of its state; one that never began, when it was to."""
    if state.get("Status") == "created":
        why = state.get("Error") or "the agent ended while starting it"
        return Exit(f"could not start: {why}", begun_at, cause=start_cause(why))
    code, at = int(state["ExitCode"]), _instant(state["FinishedAt"])
    if state.get("OOMKilled"):
        why = f"out of memory (limit {memory_mib} MiB)"
        return Exit(why, at, code, out_of_memory=True, cause=Cause.OUT_OF_MEMORY)
    if _NOT_STARTED in last_lines:
        why = f"could not start: {last_lines.rpartition('] ')[2]}"
        return Exit(why, at, code, cause=Cause.COMMAND_NOT_FOUND)
    if code > _SIGNALLED:
        number = code - _SIGNALLED
        why = f"killed by signal {number} ({signal_name(number)})"
        return Exit(why, at, None, number, cause=Cause.KILLED_BY_SIGNAL)
    said = f": {last_lines}" if last_lines and code in TELLING else ""
    return Exit(f"exited with code {code}{said}", at, code, cause=cause_of_code(code))


def start_cause(said: str) -> Cause:
    """The word for what an engine says when it cannot start a container."""
    for words, cause in _START_CAUSES:
        if words in said:
            return cause
    return Cause.START_FAILED


def _instant(text: str) -> datetime:
    """The engine writes nanoseconds, which datetime does not read."""
    head, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{head}.{(fraction + '000000')[:6]}+00:00")
