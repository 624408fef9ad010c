"""From an assignment to what a runtime runs."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from easel.agent.v1 import agent_pb2 as pb
from easel.common.v1 import common_pb2 as common
from libs.domain.errors import EaselError
from services.agent.mounts import HostDirectories, Mount, MountKind, ensure_source
from services.agent.workload import Workload, spec_hash, workload_of

DIRECTORIES = HostDirectories({"models": Path("/srv/models")}, own=Path("/own"))


def an_assignment(container: dict[str, Any] | None = None, **spec: Any) -> pb.Assignment:
    container = {"image": "python:3.11-slim", "script": "python app.py", "port": 8000, **(container or {})}
    document = {"metadata": {"name": "digits", "instance": 1}, "containers": [container], **spec}
    return pb.Assignment(id="i-1", service="digits", version=3, epoch=7, spec_json=json.dumps(document))


def read(container: dict[str, Any] | None = None, **spec: Any) -> Workload:
    return workload_of(an_assignment(container, **spec), DIRECTORIES)


def mounted(source: dict[str, Any], path: str = "/mnt/data") -> Mount:
    return read(storage=[{"mount_path": path, **source}]).mounts[0]


def test_a_script_its_port_and_its_environment_are_taken_over() -> None:
    workload = read({"env": [{"name": "A", "value": "1"}], "prepare": {"pythonRequirements": ["flask"]}})

    assert (workload.id, workload.epoch, workload.version) == ("i-1", 7, 3)
    assert (workload.script, workload.port, workload.env) == ("python app.py", 8000, (("A", "1"),))
    assert workload.requirements == ("flask",)


def test_the_grace_period_and_the_wish_for_sigterm_are_taken_over() -> None:
    metadata = {"name": "digits", "rpc": {"enable_sigterm": True}, "eas.termination_grace_period": 5}

    workload = read(metadata=metadata)

    assert (workload.grace, workload.sigterm) == (timedelta(seconds=5), True)


def test_what_was_placed_bounds_the_instance() -> None:
    assignment = an_assignment()
    assignment.resources.CopyFrom(common.Resources(cpu_milli=1500, memory_mib=2048))
    assignment.port = 20001
    assignment.gpu_uuids.append("GPU-1")

    workload = workload_of(assignment, DIRECTORIES)

    assert (workload.cpu_milli, workload.memory_mib) == (1500, 2048)
    assert (workload.host_port, workload.gpu_uuids) == (20001, ("GPU-1",))


def test_a_limit_of_the_container_counts_before_what_was_placed() -> None:
    assignment = an_assignment({"resources": {"limits": {"cpu": 0.5, "memory": 512}}})
    assignment.resources.CopyFrom(common.Resources(cpu_milli=1500, memory_mib=2048))

    workload = workload_of(assignment, DIRECTORIES)

    assert (workload.cpu_milli, workload.memory_mib) == (500, 512)


def test_a_bucket_path_is_the_directory_behind_it() -> None:
    mount = mounted({"oss": {"path": "oss://models/app/v1/", "readOnly": True}})

    assert mount == Mount(
        "/mnt/data", MountKind.BIND, "/srv/models/app/v1", read_only=True, within="/srv/models"
    )


def test_empty_directories_are_on_disk_or_in_memory() -> None:
    assert mounted({"empty_dir": {}}) == Mount("/mnt/data", MountKind.EMPTY, "empty-0")
    memory = mounted({"empty_dir": {"medium": "memory", "size_limit": 2}}, "/dev/shm")
    assert memory == Mount("/dev/shm", MountKind.MEMORY, size_mib=2048)


@pytest.mark.parametrize(
    ("storage", "sentence"),
    [
        (
            [{"mount_path": "/mnt/a", "oss": {"path": "oss://others/x/"}}],
            "no directory for bucket 'others' .* no secret",
        ),
        ([{"mount_path": "/mnt/a", "oss": {"path": "oss://models/../etc"}}], "without"),
        ([{"mount_path": "/etc", "empty_dir": {}}], "/etc"),
        ([{"mount_path": "/proc/x", "empty_dir": {}}], "/proc/x"),
        (
            [{"mount_path": "/mnt/a", "empty_dir": {}}, {"mount_path": "/mnt/a/b", "empty_dir": {}}],
            "apart from",
        ),
    ],
)
def test_what_cannot_be_mounted_is_refused_in_a_sentence(storage: list[Any], sentence: str) -> None:
    with pytest.raises(EaselError, match=sentence):
        read(storage=storage)


def test_a_service_without_a_container_is_refused() -> None:
    assignment = pb.Assignment(spec_json='{"metadata": {"name": "digits"}, "processor": "pmml"}')

    with pytest.raises(EaselError, match=r"container|processor|model_path"):
        workload_of(assignment, DIRECTORIES)


def test_only_what_changes_the_running_program_changes_its_hash() -> None:
    same, other = an_assignment(), an_assignment({"script": "python other.py"})
    same.epoch, same.traceparent, same.stop = 99, "00-1-2-01", True

    assert spec_hash(same) == spec_hash(an_assignment())
    assert spec_hash(other) != spec_hash(an_assignment())


def test_a_link_that_leads_out_of_its_bucket_is_refused(tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    (bucket / "out").symlink_to("/etc")

    with pytest.raises(EaselError, match=r"a link leads from .*/bucket/out out of .*/bucket"):
        ensure_source(Mount("/mnt/a", MountKind.BIND, str(bucket / "out"), within=str(bucket)))


def test_a_directory_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(EaselError, match=r"/mnt/a: cannot create .*file/sub on the node"):
        ensure_source(Mount("/mnt/a", MountKind.BIND, str(tmp_path / "file" / "sub")))
