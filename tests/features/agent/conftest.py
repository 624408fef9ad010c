"""An agent as a process of its own, and a scheduler for it."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from services.agent.runtime.process_runtime import ProcessRuntime, ProcessSettings
from services.agent.runtime.venvs import Venvs
from tests.support.fake_scheduler_link import FakeScheduler, listening
from tests.support.free_ports import some_agent_ports

ROOT = Path(__file__).parents[3]


class AgentProcess:
    """`python -m services.agent`, to be killed and started again."""

    def __init__(self, directory: Path, port: int) -> None:
        self.directory, self.log = directory, directory.parent / "agent.log"
        self.ports = some_agent_ports()
        self._environment = {
            **os.environ,
            "EASEL_AGENT_SCHEDULER": f"127.0.0.1:{port}",
            "EASEL_AGENT_JOIN_TOKEN": "let-me-in",
            "EASEL_AGENT_NODE": "n1",
            "EASEL_AGENT_DATA_DIR": str(directory),
            "EASEL_AGENT_FIRST_PORT": str(self.ports[0]),
            "EASEL_AGENT_LAST_PORT": str(self.ports[-1]),
            "EASEL_AGENT_HEARTBEAT_EVERY": "0.3",
            "EASEL_AGENT_ACT_ALONE_AFTER": "0.5",
            "EASEL_AGENT_BUCKETS": f'{{"models": "{directory.parent / "models"}"}}',
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self, **settings: str) -> None:
        named = {f"EASEL_AGENT_{name.upper()}": value for name, value in settings.items()}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.agent"],
                cwd=ROOT,
                env={**self._environment, **named},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    def end(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(20)

    def said(self) -> str:
        return self.log.read_text()

    async def clean(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill()
        settings = ProcessSettings(self.directory / "instances", "127.0.0.1", range(1, 2))
        runtime = ProcessRuntime(settings, Venvs(self.directory, "", {}))
        for running in await runtime.instances():
            await runtime.ensure_absent(running.id, timedelta(0), False)
        await runtime.close()


@pytest.fixture
async def scheduler() -> AsyncIterator[FakeScheduler]:
    scheduler = FakeScheduler()
    async with listening(scheduler) as port:
        scheduler.port = port
        yield scheduler


@pytest.fixture
async def agent(scheduler: FakeScheduler, tmp_path: Path) -> AsyncIterator[AgentProcess]:
    process = AgentProcess(tmp_path / "agent", scheduler.port)
    yield process
    await process.clean()
