"""An embedded Easel of a test's own, driven through the `easel` command as a user would."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from easel_sdk.context import Context, read_contexts
from tests.support.free_ports import agent_ports, free_port

EASEL = Path(sys.executable).with_name("easel")


class EmbeddedEasel:
    """Keeps everything under `home`; nothing runs before `up`."""

    def __init__(self, home: Path, *more: str) -> None:
        self.home = home
        self.data_dir = home / "data"
        self._context_file = home / "context.json"
        self._more = more
        self._gateway_port, self._admin_port, self._metrics_port = free_port(), free_port(), free_port()

    def easel(self, *arguments: str, within: float = 90.0) -> subprocess.CompletedProcess[str]:
        """Runs one `easel` command to its end."""
        own = {
            "EASEL_CONTEXT": str(self._context_file),
            "EASEL_AGENT_FIRST_PORT": str(agent_ports()[0]),
            "EASEL_AGENT_LAST_PORT": str(agent_ports()[-1]),
        }
        return subprocess.run(
            [EASEL, *arguments],
            env={**os.environ, **own, "NO_COLOR": "1", "COLUMNS": "200"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )

    def try_up(self) -> subprocess.CompletedProcess[str]:
        return self.easel(
            *("up", "--detach", "--data-dir", str(self.data_dir)),
            *("--port", str(self._gateway_port), "--admin-port", str(self._admin_port)),
            *("--metrics-port", str(self._metrics_port)),
            *self._more,
        )

    def up(self) -> None:
        """Returns when Easel answers; fails with what the command said otherwise."""
        done(self.try_up())

    def down(self) -> subprocess.CompletedProcess[str]:
        return self.easel("down", "--data-dir", str(self.data_dir))

    def create(self, spec: Path) -> None:
        done(self.easel("create", str(spec), "--wait"))

    @property
    def metrics(self) -> str:
        """Where Prometheus would find the numbers."""
        return f"http://127.0.0.1:{self._metrics_port}/metrics"

    @property
    def context(self) -> Context:
        return read_contexts(self._context_file).chosen()

    def processes(self) -> list[psutil.Process]:
        """Every process of this Easel: those that name its data directory, or stand in it."""
        found = []
        for process in psutil.process_iter():
            try:
                words, inside = " ".join(process.cmdline()), process.cwd()
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
            if process.status() != psutil.STATUS_ZOMBIE and (
                str(self.data_dir) in words or inside.startswith(str(self.data_dir))
            ):
                found.append(process)
        return found

    def control_plane(self) -> psutil.Process:
        """The one process that holds all services."""
        listening = [
            process
            for process in self.processes()
            if any(c.laddr and c.laddr.port == self._admin_port for c in process.net_connections("inet"))
        ]
        assert len(listening) == 1, f"{len(listening)} processes listen on the admin port"
        return listening[0]


def done(command: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    """The command, which must have ended well."""
    assert command.returncode == 0, f"{command.args} said: {command.stdout}{command.stderr}"
    return command


@contextmanager
def embedded_easel(home: Path, *more: str) -> Iterator[EmbeddedEasel]:
    """An Easel that is up inside the block and gone after it, whatever happened to it meanwhile."""
    easel = EmbeddedEasel(home, *more)
    try:
        easel.up()
        yield easel
    finally:
        easel.down()
        for process in easel.processes():
            process.kill()
