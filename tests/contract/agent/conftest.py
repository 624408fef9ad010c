"""The runtimes that the contract is held against."""

import secrets
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from services.agent.runtime.port import Runtime
from services.agent.runtime.process_runtime import ProcessRuntime, ProcessSettings
from services.agent.runtime.venvs import Venvs
from services.agent.settings import Settings, handed_on, own_environment
from tests.support.runtime_stage import Stage

IMAGE = "python:3.11-slim"


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.docker)])
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    prefix = f"t{secrets.token_hex(4)}"

    def processes() -> Runtime:
        settings = ProcessSettings(
            tmp_path / "instances", "127.0.0.1", range(21000, 29000), handed_on(), log_bytes=1 << 20
        )
        venvs = Venvs(tmp_path / "venvs", Settings().python, own_environment(), timedelta(minutes=2))
        return ProcessRuntime(settings, venvs)

    def containers() -> Runtime:
        from services.agent.runtime.docker_runtime import DockerRuntime, DockerSettings

        return DockerRuntime(DockerSettings(node=prefix, address="127.0.0.1", publish="127.0.0.1"))

    stage = Stage(processes if request.param == "process" else containers, IMAGE, prefix)
    yield stage
    await stage.clean()


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    """A directory of the host that stands for a bucket."""
    directory = tmp_path / "bucket"
    directory.mkdir()
    return directory
