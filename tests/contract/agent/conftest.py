"""The runtimes that the contract is held against."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import docker
import pytest

from services.agent.runtime.docker_runtime import DockerRuntime, DockerSettings
from services.agent.runtime.port import Runtime
from services.agent.runtime.process_runtime import ProcessRuntime, ProcessSettings
from services.agent.runtime.venvs import Venvs
from services.agent.settings import Settings, handed_on, own_environment
from tests.support.free_ports import some_agent_ports
from tests.support.runtime_stage import Stage
from tests.support.s3_server import S3Server
from tests.support.storage_stage import Node

IMAGE = "python:3.11-slim"


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.docker)])
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    prefix = f"t{secrets.token_hex(4)}"

    ports = some_agent_ports()

    def processes() -> Runtime:
        settings = ProcessSettings(tmp_path / "instances", "127.0.0.1", ports, handed_on(), log_bytes=1 << 20)
        venvs = Venvs(tmp_path / "venvs", Settings().python, own_environment())
        return ProcessRuntime(settings, venvs)

    open_runtime = processes if request.param == "process" else partial(containers, prefix)
    stage = Stage(open_runtime, IMAGE, prefix)
    yield stage
    await stage.clean()
    if request.param == "docker":
        await asyncio.to_thread(remove_shared, prefix)


@pytest.fixture
async def docker_stage() -> AsyncIterator[Stage]:
    prefix = f"t{secrets.token_hex(4)}"
    stage = Stage(partial(containers, prefix), IMAGE, prefix)
    yield stage
    await stage.clean()
    await asyncio.to_thread(remove_shared, prefix)


def containers(node: str) -> Runtime:
    settings = DockerSettings(
        node=node, address="127.0.0.1", publish="127.0.0.1", agent_environment=own_environment()
    )
    return DockerRuntime(settings)


def remove_shared(node: str) -> None:
    """The volumes that instances of a node shared outlive them."""
    with closing(docker.from_env()) as client:
        for volume in client.volumes.list(filters={"label": f"easel.shared={node}"}):
            volume.remove(force=True)


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    """A directory of the host that stands for a bucket."""
    directory = tmp_path / "bucket"
    directory.mkdir()
    return directory


@pytest.fixture
def s3() -> Iterator[S3Server]:
    with S3Server().running() as server:
        yield server


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    yield node
    node.storage.close()
