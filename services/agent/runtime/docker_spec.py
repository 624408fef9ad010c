"""A workload as the values of a container, and a container's labels as facts: pure."""

import shlex
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from libs.domain.states import InstanceState
from services.agent.mounts import SHARED_MEMORY, MountKind
from services.agent.runtime.port import Attempt, Exit, Running, StartFailed
from services.agent.runtime.process_state import signal_name
from services.agent.workload import Workload

NODE = "easel.node"
INSTANCE = "easel.instance"
# What a container exits with when its requirements could not be installed.
PREPARE_FAILED = 98
# Exit codes whose reason is in the last lines of the log.
TELLING = (PREPARE_FAILED, 126, 127)
_NOT_STARTED = "[FATAL tini"
_SIGNALLED = 128
_PIP = (
    'PIP_BREAK_SYSTEM_PACKAGES=1 "$(command -v python3 || command -v python)" -m pip install '
    "--disable-pip-version-check --no-input --quiet"
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
        "easel.prepares": str(workload.prepares).lower(),
    }


def running_from(labels: Mapping[str, str], address: str, port: int, ended: Exit | None) -> Running:
    """The facts of a container. Raises KeyError when the labels are not Easel's."""
    prepares = labels["easel.prepares"] == "true"
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
        phase=InstanceState.PREPARING if prepares else InstanceState.STARTING,
        grace=timedelta(seconds=float(labels["easel.grace"])),
        sigterm=labels["easel.sigterm"] == "true",
    )


def argv_of(workload: Workload) -> list[str] | None:
    """What runs in place of the image's own entry point; None for that one. Raises StartFailed."""
    install = " ".join([_PIP, *_requirements(workload)]) + f" || exit {PREPARE_FAILED}\n"
    if workload.script:
        return ["/bin/sh", "-c", install + workload.script if workload.prepares else workload.script]
    if workload.command:
        argv = [*shlex.split(workload.command), *workload.args]
        return ["/bin/sh", "-c", f'{install}exec "$@"', "sh", *argv] if workload.prepares else argv
    if workload.prepares:
        raise StartFailed("containers[0].prepare: needs script or command to run after it")
    return None


def _requirements(workload: Workload) -> list[str]:
    named = [shlex.quote(requirement) for requirement in workload.requirements]
    file = ["-r", shlex.quote(workload.requirements_path)] if workload.requirements_path else []
    return [*named, *file]


def environment_of(workload: Workload) -> dict[str, str]:
    """What service.json gives, and what it may not change."""
    env = {"PYTHONUNBUFFERED": "1", **dict(workload.env)}
    env |= {"EASEL_SERVICE": workload.service, "EASEL_INSTANCE": workload.id}
    if workload.port:
        env["PORT"] = str(workload.port)
    if not workload.gpu_uuids:
        env["NVIDIA_VISIBLE_DEVICES"] = "void"
    return env


def volume_of(workload: Workload, name: str) -> str:
    """The engine's name for an empty directory of the instance."""
    return f"easel-{workload.id}-{name}"


def mounts_of(workload: Workload, node: str) -> tuple[list[str], list[dict[str, Any]]]:
    """Binds, whose host directory the engine makes where it is missing, and mounts, where it refuses."""
    binds: list[str] = []
    mounts: list[dict[str, Any]] = []
    for mount in workload.mounts:
        if mount.kind is MountKind.BIND and not mount.read_only:
            binds.append(f"{mount.source}:{mount.path}:rw")
        elif mount.kind is MountKind.BIND:
            mounts.append(
                {"Type": "bind", "Source": mount.source, "Target": mount.path, "ReadOnly": mount.read_only}
            )
        elif mount.kind is MountKind.EMPTY:
            labels = {NODE: node, INSTANCE: workload.id}
            name = volume_of(workload, mount.source)
            options = {"Labels": labels}
            mounts.append({"Type": "volume", "Source": name, "Target": mount.path, "VolumeOptions": options})
        elif mount.path != SHARED_MEMORY:
            size = {"SizeBytes": mount.size_mib << 20} if mount.size_mib else {}
            mounts.append({"Type": "tmpfs", "Target": mount.path, "TmpfsOptions": size})
    return binds, mounts


def exit_from(state: Mapping[str, Any], memory_mib: int, last_lines: str = "") -> Exit:
    """How a container ended, from the engine's account of its state."""
    if state.get("Status") == "created":
        why = state.get("Error") or "the agent ended while starting it"
        return Exit(f"could not start: {why}", datetime.now(UTC))
    code, at = int(state["ExitCode"]), _instant(state["FinishedAt"])
    if state.get("OOMKilled"):
        return Exit(f"out of memory (limit {memory_mib} MiB)", at, code, out_of_memory=True)
    if _NOT_STARTED in last_lines:
        return Exit(f"could not start: {last_lines.rpartition('] ')[2]}", at, code)
    if code == PREPARE_FAILED and last_lines:
        return Exit(f"the requirements could not be installed: {last_lines}", at, code)
    if code > _SIGNALLED:
        number = code - _SIGNALLED
        return Exit(f"killed by signal {number} ({signal_name(number)})", at, None, number)
    return Exit(f"exited with code {code}", at, code)


def _instant(text: str) -> datetime:
    """The engine writes nanoseconds, which datetime does not read."""
    head, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{head}.{(fraction + '000000')[:6]}+00:00")
