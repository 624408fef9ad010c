"""A second node beside an embedded Easel: an agent on the same host, which can vanish as hosts do."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.support.embedded import EmbeddedEasel


class FurtherAgent:
    """One agent process with its own data directory and ports."""

    def __init__(self, easel: EmbeddedEasel, name: str, first_port: int, ports: int, **settings: str) -> None:
        self.name = name
        self._data_dir = easel.home / name
        own = {f"EASEL_AGENT_{key.upper()}": value for key, value in settings.items()}
        with (easel.home / f"{name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "services.agent"],
                env={
                    **os.environ,
                    "EASEL_AGENT_SCHEDULER": easel.context.scheduler,
                    "EASEL_AGENT_JOIN_TOKEN_FILE": str(easel.data_dir / "join.token"),
                    "EASEL_AGENT_NODE": name,
                    "EASEL_AGENT_DATA_DIR": str(self._data_dir),
                    "EASEL_AGENT_FIRST_PORT": str(first_port),
                    "EASEL_AGENT_LAST_PORT": str(first_port + ports - 1),
                    "EASEL_AGENT_STOP_INSTANCES_ON_EXIT": "true",
                    **own,
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def vanish(self) -> None:
        """Agent and instances end at once, as when the host is switched off."""
        self._process.kill()
        self._process.wait()
        for process in _standing_in(self._data_dir):
            process.kill()

    def close(self) -> None:
        """Ends the agent, which stops its instances. Safe to repeat."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self.vanish()


@contextmanager
def further_agent(
    easel: EmbeddedEasel, name: str, first_port: int, ports: int, **settings: str
) -> Iterator[FurtherAgent]:
    """`ports` is how many instances it can take, since each needs one; settings are those of an agent."""
    agent = FurtherAgent(easel, name, first_port, ports, **settings)
    try:
        yield agent
    finally:
        agent.close()


def _standing_in(directory: Path) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            there = str(directory) in " ".join(process.cmdline()) or process.cwd().startswith(str(directory))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if there:
            yield process
