"""Easel on Docker, as `easel up --runtime docker` starts it: what goes wrong in a container is told."""

import json
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.agent.test_preparation import put_wheel
from tests.e2e.services import a_container_service, call
from tests.support.embedded import EmbeddedEasel, done, embedded_easel
from tests.support.registry import registry
from tests.support.waiting import until

pytestmark = pytest.mark.docker

READ_ONLY = {"mount_path": "/mnt/data", "oss": {"path": "oss://data/", "readOnly": True}}


@pytest.fixture(scope="module")
def easel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEasel]:
    home = tmp_path_factory.mktemp("easel")
    (home / "bucket").mkdir()
    before = shared_volumes()
    try:
        with embedded_easel(home, "--runtime", "docker", "--bucket", f"data={home / 'bucket'}") as running:
            yield running
    finally:
        if made := shared_volumes() - before:
            docker("volume", "rm", "--force", *made)


async def test_a_registrys_answer_is_told_where_its_owner_looks(easel: EmbeddedEasel) -> None:
    with registry() as serves:
        missing = serves.image("easel/nothing", "7")
        create(easel, "pulled", "echo.py", {"image": missing})

        described = await said(easel, "desc", "pulled", "manifest unknown")

        assert missing in described
        diagnosed = await said(easel, "diagnose", "pulled", "ImageNotFound")
        assert "Check the name and the tag under containers[0].image" in diagnosed
        assert "manifest unknown" in diagnosed
        done(easel.easel("delete", "pulled", "--wait"))


async def test_a_registry_that_wants_a_login_gets_the_one_of_the_service(easel: EmbeddedEasel) -> None:
    login = ("reader", "let-me-in")
    with registry(login) as serves:
        image = serves.put("easel/private", "1", {"weights": b"heavy"})
        create(easel, "private", "echo.py", {"image": image})
        await said(easel, "diagnose", "private", "ImageAccessDenied")
        done(easel.easel("delete", "private", "--wait"))

        auth = b64encode(":".join(login).encode()).decode()
        done(easel.easel("secret", "set", "registry", f"auth={auth}"))
        create(easel, "private", "echo.py", {"image": image}, dockerAuth="secret://registry/auth")

        # The image is there, and has no Python: the next thing that is missing.
        described = await said(easel, "diagnose", "private", "CommandNotFound")
        assert "let-me-in" not in described + everything_said(easel, "private")
        done(easel.easel("delete", "private", "--wait"))
        docker("image", "rm", "--force", image)


async def test_a_program_that_takes_more_memory_than_it_has_is_said_to_be_out_of_memory(
    easel: EmbeddedEasel,
) -> None:
    create(easel, "hungry", "inside.py", memory=64)
    await ready(easel, "hungry")

    call(url(easel, "hungry/hog/200"))

    sentence = "out of memory (limit 64 MiB)"
    assert sentence in await said(easel, "desc", "hungry", sentence)
    await said(easel, "events", "hungry", sentence)
    done(easel.easel("delete", "hungry", "--wait"))


async def test_an_instance_whose_command_probe_fails_takes_no_traffic_until_it_passes(
    easel: EmbeddedEasel,
) -> None:
    probe = {"exec": {"command": ["cat", "/tmp/open"]}, "period_seconds": 1, "failure_threshold": 1}
    create(easel, "probed", "inside.py", {"readiness_check": probe})

    diagnosed = await said(easel, "diagnose", "probed", "ReadinessProbeFailed")
    assert "No such file or directory" in diagnosed
    (container,) = docker("ps", "--quiet", "--filter", "label=easel.service=probed").split()
    docker("exec", container, "touch", "/tmp/open")

    await ready(easel, "probed")
    assert call(url(easel, "probed/shm")).status_code == 200
    done(easel.easel("delete", "probed", "--wait"))


async def test_shared_memory_and_mounts_are_seen_inside_as_they_were_asked_for(easel: EmbeddedEasel) -> None:
    create(easel, "inside", "inside.py", storage=[READ_ONLY], shm_size=1)
    await ready(easel, "inside")

    assert call(url(easel, "inside/shm")).json() == 1024
    assert call(url(easel, "inside/write/mnt/data/mine")).json() == "Read-only file system"
    assert not (easel.home / "bucket" / "mine").exists()
    done(easel.easel("delete", "inside", "--wait"))


async def test_requirements_are_there_before_the_program_starts_and_installed_once(
    easel: EmbeddedEasel,
) -> None:
    put_wheel(easel.home / "bucket")
    before = shared_volumes()
    prepare = {"pythonRequirementsPath": "/mnt/data/requirements.txt"}
    create(easel, "prepared", "inside.py", {"prepare": prepare}, storage=[READ_ONLY])
    await ready(easel, "prepared")
    installed = shared_volumes() - before

    done(easel.easel("scale", "prepared", "2", "--wait"))

    assert call(url(easel, "prepared/import/easel_greeting")).json() == "installed"
    assert shared_volumes() - before == installed != set()
    done(easel.easel("delete", "prepared", "--wait"))


async def test_requirements_that_cannot_be_installed_are_named_with_the_installers_words(
    easel: EmbeddedEasel,
) -> None:
    put_wheel(easel.home / "bucket", wanted="easel-missing")
    prepare = {"pythonRequirementsPath": "/mnt/data/requirements.txt"}
    create(easel, "unprepared", "inside.py", {"prepare": prepare}, storage=[READ_ONLY])

    diagnosed = await said(easel, "diagnose", "unprepared", "RequirementsFailed")

    assert "No matching distribution found for easel-missing" in diagnosed
    done(easel.easel("delete", "unprepared", "--wait"))


async def test_an_instance_has_been_warmed_up_before_its_first_request(easel: EmbeddedEasel) -> None:
    (easel.home / "bucket" / "warm.txt").write_text('{"a": 1}\n{"a": 2}\n')
    path = "oss://data/warm.txt"
    create(easel, "warm", "inside.py", warm_up_data_path=path)
    await ready(easel, "warm")

    assert call(url(easel, "warm/asked")).json() == ['{"a": 1}', '{"a": 2}'] * 5
    done(easel.easel("delete", "warm", "--wait"))


def create(
    easel: EmbeddedEasel, name: str, app: str, container: dict[str, Any] | None = None, **more: Any
) -> None:
    """Creates a service without waiting for it. `more` are keys of its metadata or of the document."""
    top = {key: more.pop(key) for key in ("storage", "dockerAuth", "warm_up_data_path") if key in more}
    spec = a_container_service(name, app, **more)
    spec["containers"][0] |= container or {}
    path = easel.home / f"{name}.json"
    path.write_text(json.dumps(spec | top))
    done(easel.easel("create", str(path)))


def url(easel: EmbeddedEasel, path: str) -> str:
    return f"{easel.context.gateway}/api/predict/{path}"


async def ready(easel: EmbeddedEasel, name: str) -> None:
    """Waits until the gateway has an instance to send requests to."""
    await until(lambda: call(url(easel, f"{name}/shm")).status_code == 200, f"{name} to answer", within=60)


async def said(easel: EmbeddedEasel, *command: str) -> str:
    """What a command says once it has the last of these words."""
    *words, sentence = command
    return await until(
        lambda: text if sentence in (text := words_of(easel, *words)) else "", f"{sentence!r}", within=60
    )


def words_of(easel: EmbeddedEasel, *command: str) -> str:
    """What a command says, each run of spaces as one: tables break lines where they end."""
    ended = easel.easel(*command)
    return " ".join((ended.stdout + ended.stderr).replace("│", " ").split())


def everything_said(easel: EmbeddedEasel, name: str) -> str:
    return words_of(easel, "desc", name) + words_of(easel, "events", name)


def shared_volumes() -> set[str]:
    return set(docker("volume", "ls", "--quiet", "--filter", "label=easel.shared").split())


def docker(*words: str) -> str:
    return subprocess.run(("docker", *words), capture_output=True, text=True, check=True, timeout=60).stdout
