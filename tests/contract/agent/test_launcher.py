"""What the launcher of a process instance promises beyond the contract of runtimes."""

import json
import os
import signal
import socket
from pathlib import Path

import pytest

from services.agent.runtime.port import StartFailed
from services.agent.runtime.sockets import is_free
from tests.support.free_ports import free_port
from tests.support.runtime_stage import SERVER, Stage
from tests.support.waiting import until

pytestmark = pytest.mark.parametrize("stage", ["process"], indirect=True)


async def test_a_launcher_that_is_killed_takes_its_whole_tree_along(stage: Stage, tmp_path: Path) -> None:
    workload = stage.a_workload(script=f"setsid sleep 600 & {SERVER}")
    running = await stage.start(workload)
    await stage.listening(running)

    os.kill(json.loads(written(tmp_path, workload.id, "monitor.json"))["pid"], signal.SIGKILL)

    ended = await stage.ended(workload)
    assert ended.exit is not None
    assert ended.exit.why == "ended together with its launcher, which was killed, or with the node"
    await until(lambda: is_free(running.port), "the port to be free")
    await until(lambda: not marked(str(tmp_path / "instances" / workload.id)), "its tree to be gone")


async def test_a_port_of_another_program_is_refused_before_the_start(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        with pytest.raises(StartFailed, match=f"port {port} is taken by another program of this node"):
            await stage.start(stage.a_workload(host_port=port))


async def test_a_port_of_another_instance_is_refused_with_its_name(stage: Stage) -> None:
    taken = await stage.start(stage.a_workload("a", host_port=free_port()))
    await stage.listening(taken)

    with pytest.raises(StartFailed, match=f"port {taken.port} is taken by instance {taken.id} of this node"):
        await stage.start(stage.a_workload("b", host_port=taken.port))


def serving(loop: str) -> str:
    """A program that listens on loopback alone, so that another may have its port at another address."""
    listen = 'import os, socket; server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))'
    return f"exec python3 -c '{listen}; {loop}'"


async def test_connections_of_another_program_at_the_same_port_are_not_the_instances(stage: Stage) -> None:
    accepting = "taken = [server.accept() for _ in iter(int, 1)]"
    running = await stage.start(stage.a_workload(script=serving(accepting)))
    await stage.listening(running)

    async def counts(number: int) -> None:
        async def look() -> bool:
            return await stage.runtime.connections(running) == number

        await until(look, f"{number} connections")

    with (
        socket.create_server(("127.0.0.2", running.port)) as other,
        socket.create_connection(other.getsockname()),
        other.accept()[0],
    ):
        await counts(0)
        with socket.create_connection((running.address, running.port)):
            await counts(1)


async def test_a_connection_that_the_program_has_not_accepted_yet_is_one_of_its_own(stage: Stage) -> None:
    running = await stage.start(stage.a_workload(script=serving("import time; time.sleep(600)")))
    await stage.listening(running)

    async def look() -> bool:
        return bool(await stage.runtime.connections(running))

    with socket.create_connection((running.address, running.port)):
        await until(look, "the connection")


async def test_a_listener_of_another_program_is_not_the_instance(stage: Stage) -> None:
    port = free_port()
    late = stage.a_workload(script="sleep 600", host_port=port)
    running = await stage.start(late)

    with socket.create_server(("127.0.0.1", port)):
        assert await stage.runtime.listening(running) is False


async def test_the_log_of_a_talkative_program_stays_bounded(stage: Stage, tmp_path: Path) -> None:
    line = "x" * 1000
    workload = stage.a_workload(script=f"for i in $(seq 4000); do echo {line}; done; echo the end")
    await stage.start(workload)
    await stage.ended(workload)

    text = await stage.log(workload)

    assert text.endswith("the end\n")
    assert len(text) <= 1 << 20


async def test_gpus_are_handed_over_by_uuid_and_none_means_none(stage: Stage) -> None:
    show = 'echo "[$CUDA_VISIBLE_DEVICES]"'
    with_two = stage.a_workload("a", script=show, gpu_uuids=("GPU-1", "GPU-2"))
    without = stage.a_workload("b", script=show)
    for workload in (with_two, without):
        await stage.start(workload)
        await stage.ended(workload)

    assert await stage.log(with_two) == "[GPU-1,GPU-2]\n"
    assert await stage.log(without) == "[]\n"


def written(directory: Path, instance: str, name: str) -> str:
    return (directory / "instances" / instance / name).read_text()


def marked(directory: str) -> list[str]:
    """Processes that carry the marker of the instance in `directory`."""
    marker = f"EASEL_INSTANCE_DIR={directory}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and marker in (entry / "environ").read_bytes().split(b"\0"):
                found.append(entry.name)
        except OSError:
            continue
    return found
