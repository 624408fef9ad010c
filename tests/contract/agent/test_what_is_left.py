"""What a process runtime makes of half-done work, broken files and a full disk."""

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from services.agent.runtime.logfiles import follow, tail_of
from services.agent.runtime.port import Attempt, PrepareFailed, StartFailed
from services.agent.runtime.process_state import InstanceDirectory
from services.agent.runtime.venvs import Venvs
from services.agent.settings import Settings, own_environment
from tests.contract.agent.test_launcher import written
from tests.contract.agent.test_preparation import put_wheel
from tests.support.runtime_stage import Silent, Stage
from tests.support.waiting import until

pytestmark = pytest.mark.parametrize("stage", ["process"], indirect=True)


async def test_an_instance_that_was_begun_and_never_started_leaves_nothing(
    stage: Stage, tmp_path: Path
) -> None:
    InstanceDirectory(tmp_path / "instances" / "begun").create()

    assert await stage.runtime.instances() == []
    assert not (tmp_path / "instances" / "begun").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"service": "digits", "memory_mib": 1}'])
async def test_a_state_that_cannot_be_read_hides_no_other_instance(
    stage: Stage, tmp_path: Path, content: str
) -> None:
    workload = stage.a_workload(script="sleep 600")
    await stage.start(workload)
    broken = InstanceDirectory(tmp_path / "instances" / "broken")
    broken.create()
    (broken.path / "state.json").write_text(content)

    found = await stage.runtime.instances()

    assert [running.id for running in found] == [workload.id]


async def test_an_end_that_cannot_be_written_down_is_known_and_the_same_each_time(
    stage: Stage, tmp_path: Path
) -> None:
    workload = stage.a_workload(script="sleep 600")
    await stage.start(workload)
    # Writing fails as it does on a full disk.
    (tmp_path / "instances" / workload.id / "exit.json.draft").mkdir()

    await until((tmp_path / "instances" / workload.id / "monitor.json").exists, "the launcher")
    os.kill(json.loads(written(tmp_path, workload.id, "monitor.json"))["pid"], signal.SIGKILL)

    first = await stage.ended(workload)
    assert first.exit is not None
    assert first.exit.why == "ended together with its launcher, which was killed, or with the node"
    assert await stage.find(workload) == first


async def test_a_start_that_the_disk_refuses_is_a_sentence(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "instances").write_text("")

    with pytest.raises(StartFailed, match=r"could not start: .*Not a directory"):
        await stage.runtime.ensure_running(stage.a_workload(), Attempt())


async def test_a_launcher_is_reaped_also_when_its_instance_was_started_again(
    stage: Stage, tmp_path: Path
) -> None:
    for _ in range(3):
        workload = stage.a_workload(script="exit 3")
        await stage.start(workload)
        await stage.ended(workload)

    await until(lambda: not zombies(), "every launcher to be reaped")


async def test_a_log_that_is_turned_over_is_read_and_followed(stage: Stage, tmp_path: Path) -> None:
    log, alive = tmp_path / "log", True
    assert tail_of(log, 0) == (b"", 0)
    heard: list[bytes] = []

    async def listen() -> None:
        async for text in follow(log, 0, lambda: alive):
            heard.append(text)

    listening = asyncio.create_task(listen())
    for number in (b"1", b"2"):
        (tmp_path / "fresh").write_bytes(number)
        (tmp_path / "fresh").replace(log)
        await until(lambda number=number: number in heard, "the line")  # type: ignore[misc]
    alive = False
    await listening

    assert heard == [b"1", b"2"]


@pytest.mark.parametrize("kind", ["device", "pipe", "huge"])
async def test_only_a_file_of_sensible_size_is_read_for_its_requirements(
    stage: Stage, tmp_path: Path, kind: str
) -> None:
    path = tmp_path / "requirements.txt"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "huge":
        path.write_bytes(b"#" * (2 << 20))
    else:
        path.symlink_to("/dev/zero")

    with pytest.raises(PrepareFailed, match=r"cannot read .*requirements\.txt on the node"):
        await stage.runtime.prepare(stage.a_workload(requirements_path=str(path)), Silent())


async def test_an_installer_is_stopped_with_everything_that_it_started(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installer = tmp_path / "uv"
    installer.write_text("#!/bin/sh\nsetsid sleep 600 & sleep 600\n")
    installer.chmod(0o755)
    monkeypatch.setattr("services.agent.runtime.venvs._uv", lambda: str(installer))
    venvs = Venvs(tmp_path / "venvs", Settings().python, own_environment())
    building = asyncio.create_task(venvs.ensure(("x",), None, Silent()))
    await until(lambda: len(builders(tmp_path)) >= 2, "the installer and what it starts")

    building.cancel()
    await asyncio.wait([building], timeout=10)

    assert building.done()
    await until(lambda: not builders(tmp_path), "nothing of it to be left")


async def test_what_an_agent_was_installing_when_it_was_killed_is_ended_by_the_next(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installer = tmp_path / "uv"
    installer.write_text("#!/bin/sh\nsleep 600\n")
    installer.chmod(0o755)
    monkeypatch.setattr("services.agent.runtime.venvs._uv", lambda: str(installer))
    venvs = [Venvs(tmp_path / "venvs", Settings().python, own_environment()) for _ in "ab"]
    first = asyncio.create_task(venvs[0].ensure(("x",), None, Silent()))
    await until(lambda: builders(tmp_path), "the first installer")
    left = builders(tmp_path)

    second = asyncio.create_task(venvs[1].ensure(("x",), None, Silent()))

    await until(lambda: not set(left) & set(builders(tmp_path)), "the first installer to be ended")
    for task in (first, second):
        task.cancel()
    await asyncio.wait([first, second])


async def test_an_environment_is_built_anew_where_it_was_moved_to(stage: Stage, tmp_path: Path) -> None:
    put_wheel(tmp_path)
    file = tmp_path / "requirements.txt"
    first, second = (Venvs(tmp_path / name, Settings().python, own_environment()) for name in "ab")
    await first.ensure((), file, Silent())
    (tmp_path / "a").rename(tmp_path / "b")

    moved = await second.ensure((), file, Silent())

    assert (moved / ".complete").read_text() == str(moved)
    assert (moved / "bin" / "python").exists()


def test_code_that_is_installed_does_not_find_the_join_token(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EASEL_AGENT_JOIN_TOKEN", "s3cr3t")
    monkeypatch.setenv("PIP_INDEX_URL", "http://index")

    found = own_environment()

    assert found["PIP_INDEX_URL"] == "http://index"
    assert "s3cr3t" not in found.values()


def zombies() -> list[int]:
    """Ended children of this process that nobody reaped."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split() if entry.name.isdigit() else []
        except OSError:
            continue
        if fields and fields[0] == "Z" and int(fields[1]) == os.getpid():
            found.append(int(entry.name))
    return found


def builders(directory: Path) -> list[str]:
    """Processes that build a virtual environment below `directory`."""
    marker = f"EASEL_INSTANCE_DIR={directory}/venvs/".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and marker in (entry / "environ").read_bytes():
                found.append(entry.name)
        except OSError:
            continue
    return found
