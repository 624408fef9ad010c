"""What an agent survives: a full disk, an engine that hangs, instances that vanish without a word."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from easel.agent.v1 import agent_pb2 as pb
from libs.domain.states import InstanceState
from libs.domain.states import Runtime as RuntimeName
from libs.telemetry.traces import configure_traces
from services.agent.agent import Obedience, View
from services.agent.board import Board, Status
from services.agent.gpu import Nvml
from services.agent.images import ImageKeeper
from services.agent.memory import Memory
from services.agent.mounts import HostDirectories, Mount, MountKind
from services.agent.observed import Wanted
from services.agent.reconciler import Reconciler
from services.agent.runtime import threads
from services.agent.runtime.port import Attempt, PrepareFailed, Running
from services.agent.runtime.process_runtime import ProcessRuntime, ProcessSettings
from services.agent.runtime.venvs import Venvs
from services.agent.settings import Settings
from services.agent.workload import Workload
from tests.support.waiting import until


def a_runtime(directory: Path) -> ProcessRuntime:
    settings = ProcessSettings(directory / "instances", "127.0.0.1", range(1, 2))
    return ProcessRuntime(settings, Venvs(directory / "venvs", "python3", {}))


class Hanging(ProcessRuntime):
    """A runtime whose engine takes calls and never answers."""

    async def images(self) -> Sequence[str]:
        await asyncio.Event().wait()
        return ()


def test_an_empty_memory_is_no_wish_that_nothing_runs(tmp_path: Path) -> None:
    (tmp_path / "desired.pb").write_bytes(b"")

    assert Memory(tmp_path).desired is None


async def test_on_a_full_disk_the_agent_still_obeys_and_still_refuses_what_is_older(tmp_path: Path) -> None:
    board = Board()
    with configure_traces("test", "") as traces:
        runtime = a_runtime(tmp_path)
        reconciler = Reconciler(runtime, board, traces)
        obedience = Obedience(Memory(tmp_path), reconciler, ImageKeeper(runtime), HostDirectories())
        # Writing fails as it does on a full disk.
        (tmp_path / "desired.pb.draft").mkdir()

        obedience.obey(pb.DesiredState(epoch=7, assignments=[pb.Assignment(id="i-1", spec_json="{}")]))
        obedience.obey(pb.DesiredState(epoch=6))
        await reconciler.reconcile()

    assert board.get("i-1").state is InstanceState.FAILED


async def test_an_engine_that_hangs_keeps_no_heartbeat_back(tmp_path: Path) -> None:
    runtime = Hanging(ProcessSettings(tmp_path, "", range(0)), Venvs(tmp_path, "", {}))
    view = View(Settings(data_dir=tmp_path), runtime, Nvml(), Board())

    inventory = await asyncio.wait_for(view.inventory(), 20)

    assert (inventory.runtime, inventory.images) == (RuntimeName.PROCESS, ())


async def test_an_instance_that_never_ran_is_forgotten_once_nobody_wants_it(tmp_path: Path) -> None:
    board = Board()
    with configure_traces("test", "") as traces:
        reconciler = Reconciler(a_runtime(tmp_path), board, traces)
        reconciler.want({"i-1": Wanted("i-1", 1, refusal="it cannot be")})
        await reconciler.reconcile()
        assert board.instances() == {"i-1"}

        reconciler.want({})
        await reconciler.reconcile()
        await reconciler.reconcile()

    assert board.instances() == set()


async def test_a_disk_that_refuses_to_be_read_is_waited_for(tmp_path: Path) -> None:
    with configure_traces("test", "") as traces:
        reconciler = Reconciler(a_runtime(tmp_path), Board(), traces)
        state = tmp_path / "instances" / "i-1" / "state.json"
        state.mkdir(parents=True)
        running = asyncio.create_task(reconciler.run())
        await asyncio.sleep(0)

        state.rmdir()

        await until(reconciler.observed.is_set, "the node to be seen")
        running.cancel()
        await asyncio.wait([running])


async def test_a_file_system_that_does_not_answer_is_given_up_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "FILES_WITHIN", 0.01)
    hung, over = Mount("/mnt/data", MountKind.BIND, "/srv/far"), asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait(_: Mount) -> None:
        asyncio.run_coroutine_threadsafe(over.wait(), loop).result()

    with pytest.raises(PrepareFailed, match="/mnt/data: /srv/far on the node does not answer"):
        await threads.prepared_mount(wait, hung)
    over.set()


async def test_a_status_without_an_instance_is_gone_for_the_scheduler(tmp_path: Path) -> None:
    board = Board()
    with configure_traces("test", "") as traces:
        reconciler = Reconciler(a_runtime(tmp_path), board, traces)
        board.put(Status("i-1", epoch=3, ready=True))
        await board.changes()
        reconciler.want({})

        await reconciler.reconcile()
        await reconciler.reconcile()

    (told,) = await board.changes()
    assert (told.id, told.epoch, told.gone) == ("i-1", 3, True)


class Surprising(ProcessRuntime):
    """A runtime that breaks, in a way that nobody expects, the first time it is asked."""

    def __init__(self, settings: ProcessSettings, venvs: Venvs) -> None:
        super().__init__(settings, venvs)
        self.asked = 0

    async def instances(self) -> Sequence[Running]:
        facts = ("i-1", "digits", 1, 1, "h", Attempt(), "127.0.0.1", 20000, datetime(2026, 1, 1, tzinfo=UTC))
        return [Running(*facts)]

    async def listening(self, running: Running) -> bool:
        self.asked += 1
        if self.asked == 1:
            raise RuntimeError("a bug")
        return True


async def test_a_watch_that_broke_is_begun_anew(tmp_path: Path) -> None:
    board = Board()
    settings = ProcessSettings(tmp_path / "instances", "127.0.0.1", range(1, 2))
    with configure_traces("test", "") as traces:
        reconciler = Reconciler(Surprising(settings, Venvs(tmp_path, "python3", {})), board, traces)
        reconciler.want(
            {"i-1": Wanted("i-1", 1, workload=Workload("i-1", "digits", 1, 1, "h"), spec_hash="h")}
        )
        looking = asyncio.create_task(reconciler.run())

        def is_ready() -> bool:
            reconciler.wake()
            return board.get("i-1").ready

        await until(is_ready, "a second watch")
        looking.cancel()
        await asyncio.wait([looking])
