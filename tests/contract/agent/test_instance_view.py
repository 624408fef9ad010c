"""What an instance finds in its file system beside its own mounts."""

import os
from pathlib import Path

import pytest

from services.agent.mounts import Mount, MountKind
from services.agent.workload import CUDA
from tests.support.runtime_stage import Stage

SHM_MIB = "python3 -c 'import os; s = os.statvfs(\"/dev/shm\"); print(s.f_frsize * s.f_blocks >> 20)'"


async def test_shared_memory_has_the_size_that_was_asked_for(stage: Stage) -> None:
    workload = stage.a_workload(script=SHM_MIB, shm_mib=48)
    await stage.start(workload)
    await stage.ended(workload)

    assert await stage.log(workload) == "48\n"


async def test_instances_do_not_see_each_others_shared_memory(stage: Stage) -> None:
    for name in ("a", "b"):
        workload = stage.a_workload(name, script=f"ls /dev/shm; touch /dev/shm/easel-{name}", shm_mib=16)
        await stage.start(workload)
        await stage.ended(workload)

        assert await stage.log(workload) == ""
    assert not any(os.path.exists(f"/dev/shm/easel-{name}") for name in ("a", "b"))  # noqa: ASYNC240, PTH110


async def test_the_cuda_of_the_node_is_at_its_usual_place_and_read_only(stage: Stage, bucket: Path) -> None:
    (bucket / "cuda-11.2").mkdir()
    (bucket / "cuda-11.2" / "version.txt").write_text("11.2\n")
    mount = Mount(CUDA, MountKind.BIND, str(bucket / "cuda-11.2"), read_only=True)
    script = f"cat {CUDA}/version.txt; touch {CUDA}/mine 2> /dev/null || echo refused"
    workload = stage.a_workload(script=script, mounts=(mount,))
    await stage.start(workload)
    await stage.ended(workload)

    assert await stage.log(workload) == "11.2\nrefused\n"
    assert not (bucket / "cuda-11.2" / "mine").exists()


async def test_a_file_is_read_as_the_program_sees_it(stage: Stage, bucket: Path) -> None:
    (bucket / "warm.txt").write_text("request\n")
    (bucket / "link.txt").symlink_to("warm.txt")
    mount = Mount("/mnt/data", MountKind.BIND, str(bucket), read_only=True)
    workload = stage.a_workload(script="sleep 600", mounts=(mount,))
    await stage.start(workload)

    assert await stage.runtime.read(workload, "/mnt/data/warm.txt", 100) == b"request\n"
    assert await stage.runtime.read(workload, "/mnt/data/link.txt", 100) == b"request\n"
    with pytest.raises(OSError, match="more than"):
        await stage.runtime.read(workload, "/mnt/data/warm.txt", 3)
    with pytest.raises(OSError, match=r"not a file|Is a directory"):
        await stage.runtime.read(workload, "/mnt/data", 100)
    with pytest.raises(FileNotFoundError):
        await stage.runtime.read(workload, "/mnt/data/missing.txt", 100)
