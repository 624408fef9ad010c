"""What every runtime promises."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from libs.domain.errors import EaselError, NotFound
from services.agent.mounts import Mount, MountKind
from services.agent.runtime.port import Attempt, StartFailed
from tests.support.runtime_stage import Stage, first_exit
from tests.support.waiting import until


def exists(path: str) -> bool:
    return Path(path).exists()


def names_in(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


async def test_an_instance_that_was_started_answers_at_its_address(stage: Stage) -> None:
    running = await stage.start(stage.a_workload())

    await stage.listening(running)

    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(f"http://{running.address}:{running.port}/")
    assert answer.status_code == 200


async def test_a_port_that_nobody_listens_on_is_not_listening(stage: Stage) -> None:
    running = await stage.start(stage.a_workload(script="sleep 600"))

    assert await stage.runtime.listening(running) is False


async def test_starting_what_runs_starts_nothing(stage: Stage) -> None:
    workload = stage.a_workload()
    first = await stage.start(workload)

    second = await stage.start(workload)

    assert (second.started_at, second.port) == (first.started_at, first.port)


async def test_a_restarted_agent_adopts_what_runs(stage: Stage) -> None:
    workload = stage.a_workload(epoch=7, spec_hash="abc", gpu_uuids=())
    before = await stage.start(workload, Attempt(restarts=2, streak=1))
    await stage.listening(before)

    await stage.reopen()

    after = await stage.find(workload)
    assert after == before
    assert (after.epoch, after.spec_hash, after.attempt) == (7, "abc", Attempt(2, 1))


async def test_the_end_of_an_adopted_instance_is_heard_with_its_exit_code(stage: Stage) -> None:
    workload = stage.a_workload(script="trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done")
    await stage.start(workload)
    await stage.logged(workload, "up")
    await stage.reopen()
    heard = asyncio.create_task(first_exit(stage.runtime, workload.id))
    await stage.runtime.instances()

    stopping = asyncio.create_task(stage.runtime.ensure_absent(workload.id, timedelta(seconds=5), True))

    await asyncio.wait_for(heard, 10)
    await stopping


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("exit 3", "exited with code 3"),
        ("exit 0", "exited with code 0"),
        ("kill -9 $$", "killed by signal 9 (SIGKILL)"),
    ],
)
async def test_an_exit_has_its_reason(stage: Stage, script: str, why: str) -> None:
    workload = stage.a_workload(
        script=f"sleep 0.05; sh -c '{script}'; exit $?" if "$$" not in script else script
    )
    await stage.start(workload)

    running = await stage.ended(workload)

    assert running.exit is not None
    assert running.exit.why == why


async def test_an_exit_is_heard_at_once_and_only_then_replaced(stage: Stage) -> None:
    workload = stage.a_workload(script="exit 3")
    heard = asyncio.create_task(first_exit(stage.runtime, workload.id))
    await stage.runtime.instances()
    first = await stage.start(workload)
    await asyncio.wait_for(heard, 10)

    second = await stage.start(workload, Attempt(restarts=1, streak=1))

    assert second.started_at > first.started_at
    assert (await stage.ended(workload)).attempt.restarts == 1


async def test_a_program_over_its_memory_is_killed_and_says_so(stage: Stage) -> None:
    eats = "exec python3 -c 'block = bytearray(300 << 20); import time; time.sleep(600)'"
    workload = stage.a_workload(script=eats, memory_mib=64)
    await stage.start(workload)

    running = await stage.ended(workload)

    assert running.exit is not None
    assert running.exit.why == "out of memory (limit 64 MiB)"


async def test_stopping_lets_a_program_end_by_itself_within_its_grace(stage: Stage, bucket: Path) -> None:
    note = Mount("/mnt/note", MountKind.BIND, str(bucket))
    script = "trap 'echo bye > /mnt/note/said; exit 0' TERM; echo up; while :; do sleep 0.05; done"
    workload = stage.a_workload(script=script, mounts=(note,))
    await stage.start(workload)
    await stage.logged(workload, "up")

    await stage.runtime.ensure_absent(workload.id, timedelta(seconds=20), True)

    assert (bucket / "said").read_text() == "bye\n"
    assert await stage.find(workload) is None


async def test_stopping_ends_a_program_that_does_not_listen_after_its_grace(stage: Stage) -> None:
    workload = stage.a_workload(script="trap '' TERM; echo up; while :; do sleep 0.05; done")
    await stage.start(workload)
    await stage.logged(workload, "up")

    await stage.runtime.ensure_absent(workload.id, timedelta(seconds=0.3), True)

    assert await stage.find(workload) is None


async def test_stopping_what_is_not_there_is_no_error(stage: Stage) -> None:
    await stage.runtime.ensure_absent(f"{stage.prefix}-nothing", timedelta(seconds=1), True)


async def test_the_log_has_both_streams_and_its_last_lines(stage: Stage) -> None:
    workload = stage.a_workload(script="echo one >&2; sleep 0.3; echo two; echo three; sleep 600")
    await stage.start(workload)
    await stage.logged(workload, "three")

    assert await stage.log(workload) == "one\ntwo\nthree\n"
    assert await stage.log(workload, tail=2) == "two\nthree\n"


async def test_a_followed_log_ends_with_the_program(stage: Stage) -> None:
    workload = stage.a_workload(script="for i in 1 2 3; do echo line $i; sleep 0.2; done")
    await stage.start(workload)

    async with asyncio.timeout(20):
        text = b"".join([part async for part in stage.runtime.logs(workload.id, 0, True)])

    assert text == b"line 1\nline 2\nline 3\n"


async def test_the_log_of_an_unknown_instance_is_not_found(stage: Stage) -> None:
    with pytest.raises(NotFound):
        await anext(stage.runtime.logs(f"{stage.prefix}-nobody", 0, False))


async def test_a_program_finds_its_environment_and_its_port(stage: Stage) -> None:
    show = "exec python3 -c 'import json, os; print(json.dumps(dict(os.environ)), flush=True)'"
    workload = stage.a_workload(script=show, env=(("GREETING", "hello there"),))
    running = await stage.start(workload)
    await stage.ended(workload)

    found = json.loads(await stage.log(workload))

    assert found["GREETING"] == "hello there"
    assert found["EASEL_INSTANCE"] == workload.id
    assert int(found["PORT"]) in (running.port, workload.port)


async def test_a_command_is_run_without_a_shell(stage: Stage) -> None:
    workload = stage.a_workload(
        script="", command="python3 -c 'import sys; print(sys.argv[1:])'", args=("$HOME", "a b")
    )
    await stage.start(workload)
    await stage.ended(workload)

    assert await stage.log(workload) == "['$HOME', 'a b']\n"


async def test_a_program_that_does_not_exist_says_so(stage: Stage) -> None:
    workload = stage.a_workload(script="", command="/no/such/program")

    try:
        await stage.start(workload)
        running = await stage.ended(workload)
        why = running.exit.why if running.exit else ""
    except StartFailed as refused:
        why = str(refused)

    assert "could not start" in why
    assert "/no/such/program" in why


async def test_two_instances_of_a_service_run_side_by_side(stage: Stage) -> None:
    first = await stage.start(stage.a_workload("a"))
    second = await stage.start(stage.a_workload("b"))

    await stage.listening(first)
    await stage.listening(second)

    assert (first.address, first.port) != (second.address, second.port)


async def test_a_mount_is_seen_at_its_path_and_nowhere_else(stage: Stage, bucket: Path) -> None:
    (bucket / "app.txt").write_text("from the bucket\n")
    mount = Mount("/mnt/easel-test/deep/data", MountKind.BIND, str(bucket))
    script = "cat /mnt/easel-test/deep/data/app.txt; echo written > /mnt/easel-test/deep/data/out.txt"
    workload = stage.a_workload(script=script, mounts=(mount,))
    await stage.start(workload)
    await stage.ended(workload)

    assert await stage.log(workload) == "from the bucket\n"
    assert (bucket / "out.txt").read_text() == "written\n"
    assert not exists("/mnt/easel-test")


async def test_a_read_only_mount_cannot_be_written(stage: Stage, bucket: Path) -> None:
    mount = Mount("/mnt/data", MountKind.BIND, str(bucket), read_only=True)
    workload = stage.a_workload(script="touch /mnt/data/x || echo refused", mounts=(mount,))
    await stage.start(workload)
    await stage.ended(workload)

    assert "refused\n" in await stage.log(workload)
    assert names_in(bucket) == []


async def test_a_missing_read_only_directory_is_refused_and_a_writable_one_is_made(
    stage: Stage, bucket: Path
) -> None:
    missing = bucket / "missing"
    read_only = Mount("/mnt/data", MountKind.BIND, str(missing), read_only=True)

    with pytest.raises(EaselError, match=r"/mnt/data: .*missing does not exist on the node"):
        await stage.start(stage.a_workload(mounts=(read_only,)))
    assert not missing.exists()

    await stage.start(stage.a_workload(mounts=(Mount("/mnt/data", MountKind.BIND, str(missing)),)))
    assert missing.is_dir()


async def test_an_empty_dir_outlives_the_program_and_not_the_instance(stage: Stage) -> None:
    mount = Mount("/mnt/scratch", MountKind.EMPTY, "empty-0")
    workload = stage.a_workload(script="cat /mnt/scratch/*; echo kept > /mnt/scratch/file", mounts=(mount,))
    await stage.start(workload)
    await stage.ended(workload)

    await stage.start(workload, Attempt(1, 1))
    await stage.ended(workload)
    assert "kept\n" in await stage.log(workload)

    await stage.runtime.ensure_absent(workload.id, timedelta(seconds=1), False)
    await stage.start(workload)
    await stage.ended(workload)
    assert "kept\n" not in await stage.log(workload)


async def test_shared_memory_has_the_size_that_was_asked_for(stage: Stage) -> None:
    mount = Mount("/dev/shm", MountKind.MEMORY, size_mib=32)
    workload = stage.a_workload(script="df -m /dev/shm | tail -1", mounts=(mount,), shm_mib=32)
    await stage.start(workload)
    await stage.ended(workload)

    assert (await stage.log(workload)).split()[1] == "32"


async def test_nothing_of_the_process_tree_is_left(stage: Stage, bucket: Path) -> None:
    mount = Mount("/mnt/beats", MountKind.BIND, str(bucket))
    beat = "while :; do date +%s%N > /mnt/beats/beat; sleep 0.05; done"
    script = f"setsid sh -c '{beat}' & sleep 600"
    workload = stage.a_workload(script=script, mounts=(mount,))
    await stage.start(workload)
    await until((bucket / "beat").exists, "the first beat")

    await stage.runtime.ensure_absent(workload.id, timedelta(seconds=0.2), True)

    (bucket / "beat").unlink()
    await stage.start(stage.a_workload("other", script="exit 0"))
    await stage.ended(stage.a_workload("other"))
    assert not (bucket / "beat").exists()
