"""A workload as a container."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.agent.mounts import Mount, MountKind
from services.agent.runtime.docker_environment import Installed, installer_environment, with_requirements
from services.agent.runtime.docker_spec import (
    argv_of,
    environment_of,
    exit_from,
    labels_of,
    mounts_of,
    running_from,
)
from services.agent.runtime.port import Attempt
from services.agent.storage.sources import ImageSource, NfsSource
from services.agent.workload import Workload

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PLAIN = Workload(id="i-1", service="digits", version=3, epoch=7, spec_hash="h", image="x", port=8000)


def test_labels_remember_everything_about_an_instance() -> None:
    workload = replace(PLAIN, gpu_uuids=("GPU-1", "GPU-2"), grace=timedelta(seconds=2.5), sigterm=True)

    found = running_from(labels_of(workload, Attempt(2, 1), "n1", NOON), "10.0.0.1", 31000, None)

    assert (found.id, found.version, found.epoch, found.spec_hash) == ("i-1", 3, 7, "h")
    assert (found.attempt, found.started_at, found.gpu_uuids) == (Attempt(2, 1), NOON, ("GPU-1", "GPU-2"))
    assert (found.grace, found.sigterm, found.listens) == (timedelta(seconds=2.5), True, True)


def test_a_command_keeps_its_arguments_apart() -> None:
    argv = argv_of(replace(PLAIN, command="serve 'a b'", args=("$x",)))

    assert argv == ["serve", "a b", "$x"]


def test_an_image_without_script_or_command_runs_its_own_entry_point() -> None:
    assert argv_of(PLAIN) is None


def test_requirements_come_first_and_hide_nothing_of_the_image() -> None:
    installed = Installed("v", {"PATH": "/opt/bin", "PYTHONPATH": "/opt/lib"})

    env = with_requirements(environment_of(PLAIN), installed)

    assert env["PATH"] == "/easel/venv/bin:/opt/bin"
    assert env["PYTHONPATH"] == "/opt/lib:/easel/venv/site"


def test_the_installer_reaches_packages_as_the_agent_does_unless_the_service_says_otherwise() -> None:
    agent = {"PIP_INDEX_URL": "https://a/", "PIP_FIND_LINKS": "/host/only", "SECRET": "x", "http_proxy": "p"}

    own = installer_environment(agent, PLAIN, trusting=True)
    asked = installer_environment(agent, replace(PLAIN, env=(("PIP_INDEX_URL", "https://b/"), ("A", "b"))))

    assert own == {
        "PIP_INDEX_URL": "https://a/",
        "http_proxy": "p",
        "PIP_CERT": "/easel/trust.pem",
        "PLACE": "/easel/venv",
    }
    assert asked["PIP_INDEX_URL"] == "https://b/"


@pytest.mark.parametrize(
    ("options", "read_only", "words"),
    [
        ("", False, "addr=nas,rw,nfsvers=4"),
        ("vers=3,nolock", True, "addr=nas,ro,vers=3,nolock"),
        ("ro,soft", False, "addr=nas,ro,nfsvers=4,soft"),
    ],
)
def test_an_nfs_mount_becomes_a_volume_of_the_engines_own_driver(
    options: str, read_only: bool, words: str
) -> None:
    source = NfsSource("nas", "/models", options)
    mounts = (Mount("/mnt/a", MountKind.NFS, "nfs-0", read_only, origin=source),)

    _, (mount,) = mounts_of(replace(PLAIN, mounts=mounts), "n1")

    assert mount["VolumeOptions"]["DriverConfig"] == {
        "Name": "local",
        "Options": {"type": "nfs", "o": words, "device": ":/models"},
    }
    assert mount["VolumeOptions"]["Labels"] == {"easel.node": "n1", "easel.instance": "i-1"}
    assert (mount["Source"], mount["ReadOnly"]) == ("easel-i-1-nfs-0", read_only)


def test_a_directory_of_an_image_is_mounted_read_only_from_the_volume_that_has_it() -> None:
    mounts = (Mount("/mnt/a", MountKind.IMAGE, "image-0", origin=ImageSource("m:1", "/data")),)

    _, (mount,) = mounts_of(replace(PLAIN, mounts=mounts), "n1", {"/mnt/a": "easel-image-x"})

    assert (mount["Type"], mount["Source"], mount["ReadOnly"]) == ("volume", "easel-image-x", True)


def test_a_container_without_gpus_sees_none() -> None:
    assert environment_of(PLAIN)["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert "NVIDIA_VISIBLE_DEVICES" not in environment_of(replace(PLAIN, gpu_uuids=("GPU-1",)))


def test_mounts_become_binds_volumes_and_memory() -> None:
    mounts = (
        Mount("/mnt/rw", MountKind.BIND, "/srv/a"),
        Mount("/mnt/ro", MountKind.BIND, "/srv/b", read_only=True),
        Mount("/mnt/own", MountKind.EMPTY, "empty-2"),
        Mount("/mnt/mem", MountKind.MEMORY, size_mib=16),
        Mount("/dev/shm", MountKind.MEMORY, size_mib=16),
    )

    binds, others = mounts_of(replace(PLAIN, mounts=mounts), "n1")

    assert binds == ["/srv/a:/mnt/rw:rw"]
    assert [(m["Type"], m["Target"]) for m in others] == [
        ("bind", "/mnt/ro"),
        ("volume", "/mnt/own"),
        ("tmpfs", "/mnt/mem"),
    ]
    assert others[1]["Source"] == "easel-i-1-empty-2"
    assert others[2]["TmpfsOptions"] == {"SizeBytes": 16 << 20}


@pytest.mark.parametrize(
    ("state", "lines", "why"),
    [
        ({"ExitCode": 3}, "", "exited with code 3"),
        ({"ExitCode": 137}, "", "killed by signal 9 (SIGKILL)"),
        ({"ExitCode": 137, "OOMKilled": True}, "", "out of memory (limit 64 MiB)"),
        ({"ExitCode": 127}, "[FATAL tini (7)] exec x failed", "could not start: exec x failed"),
        ({"Status": "created", "ExitCode": 0}, "", "could not start: the agent ended while starting it"),
    ],
)
def test_the_end_of_a_container_has_its_reason(state: dict[str, object], lines: str, why: str) -> None:
    state = {"FinishedAt": "2026-01-01T12:00:00.123456789Z", **state}

    assert exit_from(state, 64, lines, begun_at=NOON).why == why


def test_a_container_that_never_began_waits_from_the_time_it_was_to_begin() -> None:
    ended = exit_from({"Status": "created", "ExitCode": 0}, 64, begun_at=NOON)

    assert ended.at == NOON, "and not from each look at it, which would never end"
