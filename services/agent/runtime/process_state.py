"""What the process runtime keeps on disk of one instance: enough for a new agent to adopt it."""

import fcntl
import json
import os
import shutil
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from libs.domain.causes import Cause
from libs.files import replace_file
from services.agent.runtime.port import Attempt, Exit, Running
from services.agent.workload import Workload

MARKER = "EASEL_INSTANCE_DIR"
_MOST_LOOKS = 50


@dataclass(frozen=True)
class InstanceDirectory:
    """The directory of one instance. Every method blocks on the file system only."""

    path: Path

    @property
    def instance(self) -> str:
        return self.path.name

    @property
    def work(self) -> Path:
        return self.path / "work"

    @property
    def log(self) -> Path:
        return self.path / "log"

    def create(self) -> None:
        """Makes the directories. Safe to repeat: what an earlier run left stays."""
        for directory in (self.path, self.work, self.path / "root"):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def empty(self, name: str) -> Path:
        """A directory that lives as long as the instance."""
        directory = self.path / "volumes" / name
        directory.mkdir(parents=True, exist_ok=True)
        return directory

    def lock(self) -> int | None:
        """The lock that a living instance holds, taken for the caller; None when it is held."""
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def alive(self) -> bool:
        """Whether a launcher holds the lock. The kernel lets go of it however the launcher ends."""
        try:
            descriptor = self.lock()
        except FileNotFoundError:
            return False
        if descriptor is not None:
            os.close(descriptor)
        return descriptor is None

    def write(self, name: str, content: Mapping[str, Any]) -> None:
        """Replaces a file in one step, readable by the owner alone."""
        replace_file(self.path / name, json.dumps(content).encode())

    def read(self, name: str) -> dict[str, Any] | None:
        """None when it is not there or was not written by Easel. Raises OSError when it cannot be read."""
        try:
            content = json.loads((self.path / name).read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        return content if isinstance(content, dict) else None

    def forget_run(self) -> None:
        """Removes what the last run said about itself."""
        for name in ("monitor.json", "exit.json"):
            (self.path / name).unlink(missing_ok=True)

    def remove(self) -> None:
        """Removes everything. Safe to repeat."""
        shutil.rmtree(self.path, ignore_errors=True)

    def monitor(self) -> int | None:
        """The pid of the living launcher; None when it has not said so yet or another process has its pid."""
        said = self.read("monitor.json")
        if said is None:
            return None
        pid = int(said["pid"])
        return pid if start_ticks(pid) == said["started"] else None


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; None when there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return int(stat.rpartition(")")[2].split()[19])


def state_of(workload: Workload, attempt: Attempt, port: int, now: datetime) -> dict[str, Any]:
    """What is written down before anything is started."""
    return {
        "service": workload.service,
        "version": workload.version,
        "epoch": workload.epoch,
        "spec_hash": workload.spec_hash,
        "restarts": attempt.restarts,
        "streak": attempt.streak,
        "port": port,
        "started_at": now.timestamp(),
        "gpu_uuids": list(workload.gpu_uuids),
        "listens": bool(workload.port),
        "grace": workload.grace.total_seconds(),
        "sigterm": workload.sigterm,
        "memory_mib": workload.memory_mib,
        "run": workload.run,
    }


def running_from(instance: str, state: Mapping[str, Any], address: str, ended: Exit | None) -> Running:
    """The facts of a state file. Raises KeyError when it is not one."""
    return Running(
        id=instance,
        service=state["service"],
        version=state["version"],
        epoch=state["epoch"],
        spec_hash=state["spec_hash"],
        attempt=Attempt(state["restarts"], state["streak"]),
        address=address,
        port=state["port"],
        started_at=datetime.fromtimestamp(state["started_at"], UTC),
        gpu_uuids=tuple(state["gpu_uuids"]),
        exit=ended,
        listens=state["listens"],
        grace=timedelta(seconds=state["grace"]),
        sigterm=state["sigterm"],
        run=state.get("run", 0),
    )


def exit_from(said: Mapping[str, Any], memory_mib: int) -> Exit:
    """How a run ended, from its exit file."""
    at = datetime.fromtimestamp(said["at"], UTC)
    if said.get("start_error"):
        return Exit(f"could not start: {said['start_error']}", at, cause=_start_cause(said["start_error"]))
    if said.get("lost"):
        why = "ended together with its launcher, which was killed, or with the node"
        return Exit(why, at, cause=Cause.KILLED_BY_SIGNAL)
    code, number = said.get("code"), said.get("signal")
    if said.get("out_of_memory"):
        why = f"out of memory (limit {memory_mib} MiB)"
        return Exit(why, at, code, number, out_of_memory=True, cause=Cause.OUT_OF_MEMORY)
    if number is not None:
        why = f"killed by signal {number} ({signal_name(number)})"
        return Exit(why, at, None, number, cause=Cause.KILLED_BY_SIGNAL)
    return Exit(f"exited with code {code}{_of_a_shell(code)}", at, code, cause=cause_of_code(code))


def cause_of_code(code: int | None) -> Cause:
    """What an exit code says by itself, in the words of shells."""
    if code in (126, 127):
        return Cause.COMMAND_NOT_FOUND
    return Cause.KILLED_BY_SIGNAL if _of_a_shell(code) else Cause.EXITED


def _start_cause(said: str) -> Cause:
    return Cause.COMMAND_NOT_FOUND if said.endswith("no such program or directory") else Cause.START_FAILED


def _of_a_shell(code: int | None) -> str:
    """What a shell means by an exit code of 126 and more."""
    if code == 127:
        return " (a command was not found)"
    if code == 126:
        return " (a command cannot be executed)"
    if code is None or signal_name(code - 128) == "unknown":
        return ""
    return f" (its program was killed by {signal_name(code - 128)})"


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


def kill_leftovers(directory: Path) -> None:
    """Kills every process that carries the marker of this instance, also what is born meanwhile.

    Looks until two looks in a row find none: a process that is changing its program shows no marker.
    """
    kill_marked(f"{MARKER}={directory}".encode())


def kill_marked(marker: bytes) -> None:
    """Kills every process with this entry in its environment."""
    clean = 0
    for _ in range(_MOST_LOOKS):
        clean = 0 if _kill_marked(marker) else clean + 1
        if clean == 2:
            return


def _kill_marked(marker: bytes) -> bool:
    found = False
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if marker in (entry / "environ").read_bytes().split(b"\0"):
                os.kill(int(entry.name), signal.SIGKILL)
                found = True
        except OSError:
            continue
    return found


def venvs_of(instances: Path) -> set[Path]:
    """The virtual environments that instances below this directory were started with. Blocks."""
    found = set()
    for path in instances.iterdir() if instances.is_dir() else ():
        launch = InstanceDirectory(path).read("launch.json") or {}
        venv = (launch.get("env") or {}).get("VIRTUAL_ENV")
        if venv:
            found.add(Path(venv))
    return found
