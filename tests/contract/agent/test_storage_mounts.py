"""What instances of either runtime see of object stores, repositories and directories of the host."""

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from libs.domain.causes import Cause
from libs.domain.errors import FailedPrecondition
from services.agent.mounts import Mount, MountKind
from services.agent.runtime.docker_runtime import DockerRuntime, DockerSettings
from services.agent.runtime.port import PrepareFailed, Runtime
from services.agent.runtime.process_runtime import ProcessRuntime, ProcessSettings
from services.agent.runtime.venvs import Venvs
from services.agent.settings import Settings, handed_on, own_environment
from services.agent.storage.sources import GitSource, ImageSource, NfsSource
from tests.contract.agent.conftest import IMAGE, remove_shared
from tests.support.free_ports import some_agent_ports
from tests.support.git_server import GitServer
from tests.support.runtime_stage import Stage
from tests.support.s3_server import S3Server
from tests.support.storage_stage import Node

READ = "cat /mnt/data/file; touch /mnt/data/new 2> /dev/null || echo refused"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path, settings={"environment": own_environment()})
    yield node
    node.storage.close()


@pytest.fixture(params=["process", pytest.param("docker", marks=pytest.mark.docker)])
async def stored(request: pytest.FixtureRequest, node: Node, tmp_path: Path) -> AsyncIterator[Stage]:
    """A stage whose runtime has the storage of the node."""
    prefix = f"t{secrets.token_hex(4)}"
    ports = some_agent_ports()

    def processes() -> Runtime:
        settings = ProcessSettings(tmp_path / "instances", "127.0.0.1", ports, handed_on())
        venvs = Venvs(tmp_path / "venvs", Settings().python, own_environment())
        return ProcessRuntime(settings, venvs, node.storage)

    def containers() -> Runtime:
        settings = DockerSettings(node=prefix, address="127.0.0.1", publish="127.0.0.1")
        return DockerRuntime(settings, node.storage)

    stage = Stage(processes if request.param == "process" else containers, IMAGE, prefix)
    yield stage
    await stage.clean()
    if request.param == "docker":
        await asyncio.to_thread(partial(remove_shared, prefix))


async def said(stage: Stage, mount: Mount, script: str) -> str:
    workload = stage.a_workload(script=script, mounts=(mount,))
    await stage.start(workload)
    await stage.ended(workload)
    return await stage.log(workload)


async def test_a_bucket_is_read_at_its_path_and_cannot_be_written(
    stored: Stage, node: Node, s3: S3Server
) -> None:
    s3.put("model/file", b"from the store\n")
    mount = node.mount(stored.a_workload().id, s3.source())

    lines = (await said(stored, mount, READ)).splitlines()

    assert (lines[0], lines[-1]) == ("from the store", "refused")


@pytest.mark.skipif(shutil.which("git") is None, reason="the tool git is not on this machine")
async def test_a_repository_is_read_at_its_path_and_cannot_be_written(
    stored: Stage, node: Node, tmp_path: Path
) -> None:
    (tmp_path / "served").mkdir()
    with GitServer(tmp_path / "served").running() as server:
        server.commit(file="from the repository\n")
        mount = node.mount(stored.a_workload().id, GitSource(server.url, "main"))

        lines = (await said(stored, mount, READ)).splitlines()

    assert (lines[0], lines[-1]) == ("from the repository", "refused")


async def test_what_an_instance_wrote_is_in_the_store_once_it_is_gone(
    stored: Stage, node: Node, s3: S3Server
) -> None:
    s3.put("model/file", b"before\n")
    workload = stored.a_workload()
    mount = node.mount(workload.id, s3.source(), read_only=False)
    await said(stored, mount, "cat /mnt/data/file; echo after > /mnt/data/file; echo new > /mnt/data/new")

    await stored.runtime.ensure_absent(workload.id, timedelta(0), False)

    assert (s3.get("model/file"), s3.get("model/new")) == (b"after\n", b"new\n")


async def test_a_program_that_is_started_again_finds_what_it_wrote(
    stored: Stage, node: Node, s3: S3Server
) -> None:
    workload = stored.a_workload()
    mount = node.mount(workload.id, s3.source(), read_only=False)
    await said(stored, mount, "echo kept > /mnt/data/file")

    assert (await said(stored, mount, "cat /mnt/data/file")).endswith("kept\n")


async def test_a_directory_of_the_host_below_an_allowed_root_is_seen(stored: Stage, tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    (allowed / "data").mkdir(parents=True)
    (allowed / "data" / "file").write_text("of the host\n")
    mount = Mount("/mnt/data", MountKind.BIND, str(allowed / "data"), read_only=True, within=str(allowed))

    lines = (await said(stored, mount, READ)).splitlines()

    assert (lines[0], lines[-1]) == ("of the host", "refused")


async def test_a_link_that_leads_out_of_an_allowed_root_is_refused(stored: Stage, tmp_path: Path) -> None:
    (tmp_path / "allowed").mkdir()
    (tmp_path / "allowed" / "data").symlink_to("/etc")
    source, root = str(tmp_path / "allowed" / "data"), str(tmp_path / "allowed")

    with pytest.raises(FailedPrecondition, match="a link leads from"):
        await said(stored, Mount("/mnt/data", MountKind.BIND, source, within=root), READ)


@pytest.mark.parametrize("stored", ["process"], indirect=True)
@pytest.mark.parametrize(
    ("mount", "sentence"),
    [
        (
            Mount("/mnt/a", MountKind.IMAGE, "image-0", origin=ImageSource("models:1", "/models")),
            "/mnt/a: a directory of an image needs the docker runtime",
        ),
        pytest.param(
            Mount("/mnt/a", MountKind.NFS, "nfs-0", origin=NfsSource("10.0.0.1", "/")),
            "/mnt/a: NFS needs an agent that is root and the tool mount.nfs",
            marks=pytest.mark.skipif(
                shutil.which("mount.nfs") is not None, reason="this machine has the tool mount.nfs"
            ),
        ),
    ],
)
async def test_what_a_process_cannot_have_mounted_is_refused(
    stored: Stage, mount: Mount, sentence: str
) -> None:
    with pytest.raises(PrepareFailed, match=sentence) as caught:
        await said(stored, mount, "true")

    assert caught.value.cause is Cause.NOT_ON_THIS_NODE


@pytest.mark.parametrize("stored", ["process"], indirect=True)
async def test_requirements_behind_a_link_that_leads_out_of_a_mount_are_not_read(
    stored: Stage, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "requirements.txt").symlink_to("/etc/hostname")
    mount = Mount("/mnt/data", MountKind.BIND, str(tmp_path / "data"), read_only=True)
    workload = stored.a_workload(requirements_path="/mnt/data/requirements.txt", mounts=(mount,))

    with pytest.raises(PrepareFailed, match="a link leads out of what is mounted at /mnt/data"):
        await stored.start(workload)
