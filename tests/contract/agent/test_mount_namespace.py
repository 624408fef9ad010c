"""The mounts of a process where the agent is not root."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
LAUNCH = (
    f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
    "from services.agent.runtime.launcher.main import main; main(sys.argv[1])"
)
# Becomes an ordinary user in a user namespace of its own; the capabilities end with exec.
AS_ORDINARY_USER = """
import ctypes, os, sys
uid, gid, libc = os.getuid(), os.getgid(), ctypes.CDLL(None, use_errno=True)
assert libc.unshare(0x10000000) == 0, os.strerror(ctypes.get_errno())
for name, text in (("setgroups", "deny"), ("uid_map", f"1234 {uid} 1"), ("gid_map", f"1234 {gid} 1")):
    open(f"/proc/self/{name}", "w").write(text)
if sys.argv[1] == "refused":
    open("/proc/sys/user/max_user_namespaces", "w").write("0")
os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", sys.argv[2], sys.argv[3]])
"""


def launched(
    directory: Path, script: str, mounts: list[dict[str, Any]], kernel: str
) -> tuple[str, dict[str, Any]]:
    """What the program wrote and how it ended."""
    for name in ("work", "root"):
        (directory / name).mkdir(parents=True)
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT)
    launch = {
        "argv": ["/bin/sh", "-c", script],
        "env": {"PATH": "/usr/bin:/bin"},
        "cwd": str(directory / "work"),
        "root": str(directory / "root"),
        "mounts": mounts,
        "memory_mib": 0,
        "cgroup": "",
        "log_bytes": 1 << 20,
        "lock_fd": lock,
    }
    (directory / "launch.json").write_text(json.dumps(launch))
    command = [sys.executable, "-c", AS_ORDINARY_USER, kernel, LAUNCH, str(directory)]
    subprocess.run(command, pass_fds=[lock], check=True, timeout=30)
    os.close(lock)
    return (directory / "log").read_text(), json.loads((directory / "exit.json").read_text())


def a_bind(path: str, source: Path, read_only: bool = False) -> dict[str, Any]:
    return {"path": path, "kind": "bind", "source": str(source), "read_only": read_only, "size_mib": 0}


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    directory = tmp_path / "bucket"
    directory.mkdir()
    (directory / "file").write_text("from the bucket\n")
    return directory


@pytest.mark.namespaces
def test_an_ordinary_user_sees_mounts_at_their_paths(tmp_path: Path, bucket: Path) -> None:
    script = (
        "cat /mnt/deep/data/file /opt-new/file; touch /opt-new/x || echo refused; "
        "echo here > /mnt/deep/data/out; id -u"
    )
    mounts = [a_bind("/mnt/deep/data", bucket), a_bind("/opt-new", bucket, read_only=True)]

    said, ended = launched(tmp_path / "i-1", script, mounts, "allowed")

    assert said.splitlines()[:2] == ["from the bucket", "from the bucket"]
    assert said.splitlines()[-2:] == ["refused", "1234"]
    assert (bucket / "out").read_text() == "here\n"
    assert ended["code"] == 0
    assert not Path("/mnt/deep").exists()
    assert not Path("/opt-new").exists()


@pytest.mark.namespaces
def test_memory_is_mounted_with_its_size(tmp_path: Path) -> None:
    memory = {"path": "/dev/shm", "kind": "memory", "source": "", "read_only": False, "size_mib": 8}

    said, _ = launched(tmp_path / "i-1", "df -m /dev/shm | tail -1", [memory], "allowed")

    assert said.split()[:2] == ["tmpfs", "8"]


@pytest.mark.namespaces
def test_the_rest_of_the_host_is_seen_as_it_is(tmp_path: Path, bucket: Path) -> None:
    script = "ls -A / /usr /etc | md5sum"
    names, _ = launched(tmp_path / "i-1", script, [a_bind("/mnt/data", bucket)], "allowed")

    expected = subprocess.run(
        ["/bin/sh", "-c", script], capture_output=True, text=True, check=True, timeout=30
    )
    assert names == expected.stdout


@pytest.mark.namespaces
def test_a_kernel_that_refuses_says_which_mount_and_what_to_do(tmp_path: Path, bucket: Path) -> None:
    _, ended = launched(tmp_path / "i-1", "true", [a_bind("/mnt/data", bucket)], "refused")

    assert ended["start_error"].startswith("cannot mount /mnt/data: the kernel refuses this user")
    for advice in ("run the agent as root", "user.max_user_namespaces", "docker runtime"):
        assert advice in ended["start_error"]


@pytest.mark.namespaces
def test_without_mounts_no_namespace_is_needed(tmp_path: Path) -> None:
    said, ended = launched(tmp_path / "i-1", "echo fine", [], "refused")

    assert (said, ended["code"]) == ("fine\n", 0)
