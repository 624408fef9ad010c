"""A workload as a container."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.agent.mounts import Mount, MountKind
from services.agent.runtime.docker_spec import (
    argv_of,
    environment_of,
    exit_from,
    labels_of,
    mounts_of,
    running_from,
)
from services.agent.runtime.port import Attempt, StartFailed
from services.agent.workload import Workload

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
PLAIN = Workload(id="i-1", service="digits", version=3, epoch=7, spec_hash="h", image="x", port=8000)


def test_labels_remember_everything_about_an_instance() -> None:
    workload = replace(PLAIN, gpu_uuids=("GPU-1", "GPU-2"), grace=timedelta(seconds=2.5), sigterm=True)

    found = running_from(labels_of(workload, Attempt(2, 1), "n1", NOON), "10.0.0.1", 31000, None)

    assert (found.id, found.version, found.epoch, found.spec_hash) == ("i-1", 3, 7, "h")
    assert (found.attempt, found.started_at, found.gpu_uuids) == (Attempt(2, 1), NOON, ("GPU-1", "GPU-2"))
    assert (found.grace, found.sigterm, found.listens) == (timedelta(seconds=2.5), True, True)


def test_requirements_are_installed_before_the_script() -> None:
    argv = argv_of(
        replace(PLAIN, script="python app.py", requirements=("flask>=3", "numpy"), requirements_path="/r t")
    )

    assert argv is not None
    install, script = argv[2].split("\n")
    assert install.endswith("'flask>=3' numpy -r '/r t' || exit 98")
    assert script == "python app.py"


def test_a_command_keeps_its_arguments_apart_after_requirements() -> None:
    argv = argv_of(replace(PLAIN, command="serve 'a b'", args=("$x",), requirements=("flask",)))

    assert argv is not None
    assert argv[2].endswith('exec "$@"')
    assert argv[3:] == ["sh", "serve", "a b", "$x"]


def test_an_image_without_script_or_command_runs_its_own_entry_point() -> None:
    assert argv_of(PLAIN) is None
    with pytest.raises(StartFailed, match="needs script or command"):
        argv_of(replace(PLAIN, requirements=("flask",)))


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
        ({"ExitCode": 98}, "ERROR: no flask", "the requirements could not be installed: ERROR: no flask"),
        ({"ExitCode": 127}, "[FATAL tini (7)] exec x failed", "could not start: exec x failed"),
        ({"Status": "created", "ExitCode": 0}, "", "could not start: the agent ended while starting it"),
    ],
)
def test_the_end_of_a_container_has_its_reason(state: dict[str, object], lines: str, why: str) -> None:
    state = {"FinishedAt": "2026-01-01T12:00:00.123456789Z", **state}

    assert exit_from(state, 64, lines).why == why
