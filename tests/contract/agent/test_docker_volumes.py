"""What containers are given to share: requirements, directories of images, and NFS."""

import asyncio
import contextlib
import io
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import docker
import pytest

from libs.domain.causes import Cause
from libs.domain.states import InstanceState
from services.agent.__main__ import run
from services.agent.mounts import Mount, MountKind
from services.agent.runtime.docker_engine import Engine
from services.agent.runtime.docker_volumes import Helpers, SharedVolumes
from services.agent.runtime.port import Attempt, Phase, PrepareFailed, StartFailed
from services.agent.settings import Settings
from services.agent.storage.sources import ImageSource, NfsSource
from tests.contract.agent.test_preparation import SCRIPT, put_wheel
from tests.support.free_ports import free_port
from tests.support.registry import Registry, registry
from tests.support.runtime_stage import Silent, Stage

pytestmark = pytest.mark.docker


class Heard(Silent):
    """Remembers the phases."""

    def __init__(self) -> None:
        self.phases: list[tuple[InstanceState, str]] = []

    def __call__(self, state: InstanceState, why: str) -> None:
        self.phases.append((state, why))


def with_wheel(bucket: Any, **more: Any) -> dict[str, Any]:
    put_wheel(bucket)
    mount = Mount("/mnt/data", MountKind.BIND, str(bucket), read_only=True)
    return {"requirements_path": "/mnt/data/requirements.txt", "mounts": (mount,), **more}


async def test_requirements_are_installed_once_for_all_instances_of_an_image(
    docker_stage: Stage, bucket: Any
) -> None:
    first, second = (
        docker_stage.a_workload(name, script=SCRIPT, **with_wheel(bucket)) for name in ("a", "b")
    )
    heard, heard_later = Heard(), Heard()

    await docker_stage.runtime.prepare(first, heard)
    await docker_stage.runtime.prepare(second, heard_later)

    assert heard.phases == [(InstanceState.PREPARING, "installing -r /mnt/data/requirements.txt")]
    assert heard_later.phases == []


async def test_all_who_wait_for_an_installation_hear_of_it(docker_stage: Stage, bucket: Any) -> None:
    workloads = [docker_stage.a_workload(name, script=SCRIPT, **with_wheel(bucket)) for name in ("a", "b")]
    hearers = [Heard(), Heard()]

    await asyncio.gather(
        *(
            docker_stage.runtime.prepare(workload, heard)
            for workload, heard in zip(workloads, hearers, strict=True)
        )
    )

    told = (InstanceState.PREPARING, "installing -r /mnt/data/requirements.txt")
    assert [heard.phases for heard in hearers] == [[told], [told]]


async def test_a_disk_that_the_engine_cannot_bound_keeps_nothing_from_starting(docker_stage: Stage) -> None:
    for name in ("a", "b"):
        workload = docker_stage.a_workload(name, script="echo started", disk_mib=1024)
        await docker_stage.start(workload)
        await docker_stage.ended(workload)

        assert await docker_stage.log(workload) == "started\n"


async def test_a_new_agent_installs_nothing_that_is_there(docker_stage: Stage, bucket: Any) -> None:
    workload = docker_stage.a_workload(script=SCRIPT, **with_wheel(bucket))
    await docker_stage.runtime.prepare(workload, Silent())

    await docker_stage.reopen()
    heard = Heard()
    await docker_stage.runtime.prepare(workload, heard)

    assert heard.phases == []


async def test_an_instance_cannot_write_into_what_it_shares(docker_stage: Stage, bucket: Any) -> None:
    script = "touch /easel/venv/mine || echo refused; touch /mnt/data/mine || echo refused"
    workload = docker_stage.a_workload(script=script, **with_wheel(bucket))
    await docker_stage.start(workload)
    await docker_stage.ended(workload)

    assert (await docker_stage.log(workload)).count("Read-only file system") == 2


async def test_requirements_serve_an_image_that_does_not_run_as_root(
    docker_stage: Stage, bucket: Any
) -> None:
    with derived("USER nobody") as image:
        workload = docker_stage.a_workload(image=image, script=f"id -un; {SCRIPT}", **with_wheel(bucket))
        await docker_stage.start(workload)
        await docker_stage.ended(workload)

        assert await docker_stage.log(workload) == "nobody\ninstalled\n"
        await docker_stage.clean()


async def test_requirements_beside_a_virtual_environment_of_the_image_hide_none_of_its_packages(
    docker_stage: Stage, bucket: Any
) -> None:
    made = (
        "RUN python3 -m venv /opt/own && "
        "echo \"OWN = 'of the image'\" > $(/opt/own/bin/python -c "
        "\"import sysconfig; print(sysconfig.get_path('purelib'))\")/easel_own.py\n"
        "ENV PATH=/opt/own/bin:$PATH"
    )
    with derived(made) as image:
        script = "python3 -c 'import easel_own, easel_greeting; print(easel_own.OWN, easel_greeting.WORD)'"
        for python in ("python3", "/opt/own/bin/python3"):
            workload = docker_stage.a_workload(
                image=image, script=script.replace("python3", python, 1), **with_wheel(bucket)
            )
            await docker_stage.start(workload)
            await docker_stage.ended(workload)

            assert (await docker_stage.log(workload)).endswith("of the image installed\n")
        await docker_stage.clean()


async def test_requirements_that_cannot_be_installed_fail_before_the_program_starts(
    docker_stage: Stage, bucket: Any
) -> None:
    workload = docker_stage.a_workload(script=SCRIPT, **with_wheel(bucket))
    put_wheel(bucket, wanted="easel-missing")

    with pytest.raises(PrepareFailed, match="No matching distribution found for easel-missing") as refused:
        await docker_stage.runtime.prepare(workload, Silent())

    assert refused.value.cause is Cause.REQUIREMENTS_FAILED
    assert shared_volumes(docker_stage.prefix) == []
    assert await docker_stage.find(workload) is None


async def test_a_directory_of_an_image_without_a_shell_is_copied_once_and_read_only(
    docker_stage: Stage,
) -> None:
    with registry() as serves:
        image = an_image(serves)
        mount = Mount("/mnt/model", MountKind.IMAGE, "image-0", origin=ImageSource(image, "/model"))
        script = "cat /mnt/model/deep/weights; touch /mnt/model/mine"
        with removed(image):
            for name in ("a", "b"):
                workload = docker_stage.a_workload(name, script=script, mounts=(mount,))
                await docker_stage.start(workload)
                await docker_stage.ended(workload)

                log = await docker_stage.log(workload)
                assert "heavy" in log
                assert "Read-only file system" in log
            assert len(shared_volumes(docker_stage.prefix)) == 2  # The volume, and that it is complete.
            await docker_stage.clean()


@pytest.mark.parametrize("directory", ["/nowhere", "/model/deep/weights"])
async def test_a_directory_that_an_image_does_not_have_is_not_found(
    docker_stage: Stage, directory: str
) -> None:
    with registry() as serves:
        image = an_image(serves)
        mount = Mount("/mnt/model", MountKind.IMAGE, "image-0", origin=ImageSource(image, directory))
        with removed(image), pytest.raises(PrepareFailed, match=r"^/mnt/model: ") as refused:
            await docker_stage.runtime.prepare(docker_stage.a_workload(mounts=(mount,)), Silent())

    assert refused.value.cause is Cause.STORAGE_NOT_FOUND
    assert directory in str(refused.value)


async def test_the_whole_of_an_image_can_be_mounted(docker_stage: Stage) -> None:
    with registry() as serves:
        image = an_image(serves)
        mount = Mount("/mnt/all", MountKind.IMAGE, "image-0", origin=ImageSource(image, "/"))
        with removed(image):
            workload = docker_stage.a_workload(script="cat /mnt/all/model/deep/weights", mounts=(mount,))
            await docker_stage.start(workload)
            await docker_stage.ended(workload)

            assert await docker_stage.log(workload) == "heavy"
            await docker_stage.clean()


async def test_an_nfs_server_that_is_away_is_named_before_anything_starts(docker_stage: Stage) -> None:
    port = free_port()
    source = NfsSource("127.0.0.1", "/models", f"port={port}")
    workload = docker_stage.a_workload(mounts=(Mount("/mnt/nas", MountKind.NFS, "nfs-0", origin=source),))

    with pytest.raises(PrepareFailed) as refused:
        await docker_stage.start(workload)

    assert str(refused.value).startswith("/mnt/nas: the NFS server of 127.0.0.1:/models does not answer: ")
    assert refused.value.cause is Cause.STORAGE_UNREACHABLE


async def test_an_nfs_mount_is_a_volume_of_the_instance_that_goes_with_it(docker_stage: Stage) -> None:
    options = f"nfsvers=4.1,soft,timeo=5,retrans=1,port={free_port()}"
    source = NfsSource("127.0.0.1", "/models", options)
    mount = Mount("/mnt/nas", MountKind.NFS, "nfs-0", read_only=True, origin=source)
    workload = docker_stage.a_workload(mounts=(mount,))

    # The engine is asked to mount what nobody serves, as when a server goes away after it was looked at.
    with pytest.raises(StartFailed, match=r"^/mnt/nas: 127\.0\.0\.1:/models could not be mounted") as refused:
        await docker_stage.runtime.ensure_running(workload, Attempt())

    assert refused.value.cause is Cause.STORAGE_UNREACHABLE
    with closing(docker.from_env()) as client:
        volume = client.api.inspect_volume(f"easel-{workload.id}-nfs-0")
        assert volume["Driver"] == "local"
        assert volume["Options"] == {
            "type": "nfs",
            "o": f"addr=127.0.0.1,ro,{options}",
            "device": ":/models",
        }
        await docker_stage.runtime.ensure_absent(workload.id, workload.grace, False)
        with pytest.raises(docker.errors.NotFound):
            client.api.inspect_volume(volume["Name"])


async def test_shared_volumes_are_removed_when_no_container_used_them_for_long(docker_stage: Stage) -> None:
    engine, now = Engine(""), [0.0]
    volumes = SharedVolumes(engine, docker_stage.prefix, unused_after=10, clock=lambda: now[0])
    idle, used = (f"easel-test-{secrets.token_hex(6)}" for _ in range(2))
    for name in (idle, used):
        await volumes.ensure(name, Silent(), fill_nothing)
    with container_with(used):
        now[0] = 9.0
        await volumes.tidy()
        assert {idle, used} <= set(shared_volumes(docker_stage.prefix))
        now[0] = 11.0

        await volumes.tidy()

        left = set(shared_volumes(docker_stage.prefix))
        assert used in left
        assert left & {idle, f"{idle}.complete"} == set()
    engine.close()


async def test_an_agent_that_stops_its_instances_leaves_no_shared_volume_that_nobody_uses(
    docker_stage: Stage, tmp_path: Path
) -> None:
    engine, stop = Engine(""), asyncio.Event()
    volumes = SharedVolumes(engine, docker_stage.prefix)
    idle, used = (f"easel-test-{secrets.token_hex(6)}" for _ in range(2))
    for name in (idle, used):
        await volumes.ensure(name, Silent(), fill_nothing)
    engine.close()
    settings = Settings(
        node=docker_stage.prefix,
        runtime="docker",
        data_dir=tmp_path / "agent",
        scheduler=f"127.0.0.1:{free_port()}",
        stop_instances_on_exit=True,
    )
    stop.set()

    with container_with(used):
        await run(settings, stop)

        assert sorted(shared_volumes(docker_stage.prefix)) == [used, f"{used}.complete"]


async def test_a_volume_that_an_agent_did_not_live_to_fill_is_begun_anew(docker_stage: Stage) -> None:
    engine, name, filled = Engine(""), f"easel-test-{secrets.token_hex(6)}", []
    with closing(docker.from_env()) as client:
        client.api.create_volume(name, labels={"easel.shared": docker_stage.prefix, "of": "the dead"})
        volumes = SharedVolumes(engine, docker_stage.prefix)

        async def fill(volume: str, phase: Phase) -> None:
            filled.append(client.api.inspect_volume(volume)["Labels"])

        await volumes.ensure(name, Silent(), fill)
        await volumes.ensure(name, Silent(), fill)

    assert filled == [{"easel.shared": docker_stage.prefix}]
    engine.close()


async def test_helpers_that_an_earlier_agent_left_are_removed(docker_stage: Stage) -> None:
    engine, name = Engine(""), f"easel-test-{secrets.token_hex(6)}"
    await Helpers(engine, docker_stage.prefix).make(name, docker_stage.image, ["true"])

    await Helpers(engine, docker_stage.prefix).tidy()

    with closing(docker.from_env()) as client, pytest.raises(docker.errors.NotFound):
        client.api.inspect_container(name)
    engine.close()


async def fill_nothing(volume: str, phase: Phase) -> None:
    """An empty one is complete."""


def an_image(serves: Registry) -> str:
    return serves.put(f"easel/t{secrets.token_hex(4)}", "1", {"model/deep/weights": b"heavy"})


def shared_volumes(node: str) -> list[str]:
    with closing(docker.from_env()) as client:
        return [volume.name for volume in client.volumes.list(filters={"label": f"easel.shared={node}"})]


@contextmanager
def container_with(volume: str) -> Iterator[None]:
    with closing(docker.from_env()) as client:
        container = client.containers.create("python:3.11-slim", "true", volumes=[f"{volume}:/used"])
        try:
            yield
        finally:
            container.remove(force=True)


@contextmanager
def removed(image: str) -> Iterator[None]:
    with closing(docker.from_env()) as client:
        try:
            yield
        finally:
            with contextlib.suppress(docker.errors.APIError):
                client.images.remove(image, force=True)


@contextmanager
def derived(lines: str) -> Iterator[str]:
    """An image made of the usual one with these lines of a Dockerfile."""
    with closing(docker.from_env()) as client:
        dockerfile = io.BytesIO(f"FROM python:3.11-slim\n{lines}\n".encode())
        image, _ = client.images.build(fileobj=dockerfile, tag=f"easel-test-{secrets.token_hex(4)}", rm=True)
        try:
            yield image.tags[0]
        finally:
            with contextlib.suppress(docker.errors.APIError):
                client.images.remove(image.tags[0], force=True)
