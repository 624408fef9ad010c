"""What every runtime tells of an instance that runs, and does beside its program."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from libs.domain.causes import Cause
from libs.domain.errors import Unavailable
from services.agent.mounts import Mount, MountKind
from services.agent.runtime.port import Attempt, Finding, Running, StartFailed
from tests.support.runtime_stage import SERVER, Stage
from tests.support.waiting import until

SOON = timedelta(seconds=20)


def listening_on(address: str, port: str) -> str:
    return (
        "exec python3 -c 'import os, socket, time; "
        f'server = socket.create_server(("{address}", {port})); time.sleep(600)\''
    )


@asynccontextmanager
async def connected(running: Running) -> AsyncIterator[None]:
    _, writer = await asyncio.open_connection(running.address, running.port)
    try:
        yield
    finally:
        writer.close()


async def test_a_command_runs_with_the_environment_and_the_mounts_of_the_program(
    stage: Stage, bucket: Path
) -> None:
    (bucket / "model").write_text("weights\n")
    mount = Mount("/mnt/easel-test/data", MountKind.BIND, str(bucket))
    workload = stage.a_workload(mounts=(mount,), env=(("GREETING", "hello"),))
    running = await stage.start(workload)
    await stage.listening(running)

    shown = await stage.runtime.execute(
        running, ["sh", "-c", "cat /mnt/easel-test/data/model; echo $GREETING; echo bad >&2; exit 3"], SOON
    )

    assert shown.code == 3
    assert sorted(shown.output.split()) == ["bad", "hello", "weights"]


async def test_a_command_that_is_not_there_fails(stage: Stage) -> None:
    running = await stage.start(stage.a_workload())
    await stage.listening(running)

    ended = await stage.runtime.execute(running, ["/no/such/program"], SOON)

    assert ended.code not in (0, None)
    assert "no such" in ended.output


async def test_a_command_that_takes_too_long_is_killed_with_its_children(stage: Stage, bucket: Path) -> None:
    mount = Mount("/mnt/beats", MountKind.BIND, str(bucket))
    beat = "while :; do date +%s%N > /mnt/beats/beat; sleep 0.05; done"
    running = await stage.start(stage.a_workload(mounts=(mount,)))
    await stage.listening(running)

    ended = await stage.runtime.execute(
        running, ["sh", "-c", f"setsid sh -c '{beat}' & sleep 600"], timedelta(seconds=1)
    )

    assert ended.code is None
    # Whatever was begun before the kill is over by the time another command has run.
    for _ in range(2):
        (bucket / "beat").unlink(missing_ok=True)
        await stage.runtime.execute(running, ["sleep", "0.3"], SOON)
    assert not (bucket / "beat").exists()


async def test_no_command_runs_where_no_instance_is(stage: Stage) -> None:
    running = await stage.start(stage.a_workload())
    await stage.listening(running)
    await stage.runtime.ensure_absent(running.id, timedelta(0), False)

    try:
        ended = await stage.runtime.execute(running, ["true"], SOON)
    except Unavailable:
        return
    assert ended.code not in (0, None)


async def test_connections_to_the_port_are_counted_while_they_are_open(stage: Stage) -> None:
    running = await stage.start(stage.a_workload())
    await stage.listening(running)

    async def count() -> int | None:
        return await stage.runtime.connections(running)

    async def nobody() -> bool:
        return await count() == 0

    await until(nobody, "the looks at the port to end")
    async with connected(running), connected(running):

        async def both() -> bool:
            return await count() == 2

        await until(both, "two connections")
    await until(nobody, "no connection")


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        (listening_on("", "9876"), Cause.WRONG_PORT),
        ("exec sleep 600", Cause.NOT_LISTENING),
    ],
)
async def test_a_program_that_is_not_reached_is_explained(stage: Stage, script: str, cause: Cause) -> None:
    running = await stage.start(stage.a_workload(script=script))

    async def look() -> Finding | None:
        finding = await stage.runtime.explain(running)
        return finding if finding is not None and finding.cause is cause else None

    finding = await until(look, f"{cause}")

    assert finding is not None
    assert "listens on" in finding.why


async def test_a_program_on_the_right_port_needs_no_explanation(stage: Stage) -> None:
    running = await stage.start(stage.a_workload())
    await stage.listening(running)

    assert await stage.runtime.explain(running) is None


@pytest.mark.docker
async def test_a_container_that_listens_on_its_loopback_only_is_told_so(docker_stage: Stage) -> None:
    script = listening_on("127.0.0.1", 'int(os.environ["PORT"])')
    running = await docker_stage.start(docker_stage.a_workload(script=script))

    async def look() -> Finding | None:
        finding = await docker_stage.runtime.explain(running)
        return finding if finding is not None and finding.cause is Cause.LOOPBACK_ONLY else None

    finding = await until(look, "the explanation")

    assert finding is not None
    assert (
        finding.why
        == "its program listens on 127.0.0.1:8000 only, which nobody outside reaches: bind 0.0.0.0"
    )


async def test_a_program_that_computes_shows_life_and_one_that_sleeps_does_not(stage: Stage) -> None:
    busy = stage.a_workload("busy", script="while :; do :; done")
    idle = stage.a_workload("idle", script="echo up; exec sleep 600")
    runs = {"busy": await stage.start(busy), "idle": await stage.start(idle)}
    await stage.logged(idle, "up")

    seen = {name: await stage.runtime.activity(running) for name, running in runs.items()}

    async def moved(name: str) -> bool:
        before, seen[name] = seen[name], await stage.runtime.activity(runs[name])
        now = seen[name]
        return before is not None and now is not None and now.moved_since(before)

    async def rests() -> bool:
        return not await moved("idle")

    await until(lambda: moved("busy"), "the busy one to move")
    await until(rests, "the idle one to rest")


async def test_a_program_that_was_ended_starts_anew_with_its_files(stage: Stage) -> None:
    mount = Mount("/mnt/scratch", MountKind.EMPTY, "empty-0")
    script = f"echo run >> /mnt/scratch/runs; cat /mnt/scratch/runs; {SERVER}"
    workload = stage.a_workload(script=script, mounts=(mount,), run=0)
    running = await stage.start(workload)
    await stage.listening(running)

    await stage.runtime.ensure_ended(running.id, running.grace, False)
    ended = await stage.ended(workload)
    again = await stage.start(stage.a_workload(script=script, mounts=(mount,), run=1), Attempt())

    await stage.listening(again)
    assert (ended.run, again.run) == (0, 1)
    await stage.logged(workload, "run\nrun\n")


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        ("exit 3", Cause.EXITED),
        ("no-such-program-here", Cause.COMMAND_NOT_FOUND),
        ("kill -SEGV $$", Cause.KILLED_BY_SIGNAL),
    ],
)
async def test_an_exit_has_its_cause(stage: Stage, script: str, cause: Cause) -> None:
    workload = stage.a_workload(script=script)
    await stage.start(workload)

    running = await stage.ended(workload)

    assert running.exit is not None
    assert running.exit.cause is cause


async def test_a_program_that_does_not_exist_has_its_cause(stage: Stage) -> None:
    workload = stage.a_workload(script="", command="/no/such/program")

    try:
        await stage.start(workload)
        ended = (await stage.ended(workload)).exit
        cause = ended.cause if ended is not None else None
    except StartFailed as refused:
        cause = refused.cause

    assert cause is Cause.COMMAND_NOT_FOUND
