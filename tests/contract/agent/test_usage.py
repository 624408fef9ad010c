"""What every runtime tells of what its instances use, and who it is that posts."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Sequence

import pytest

from libs.domain.states import Runtime as RuntimeName
from services.agent.runtime.loopback import listen_on_loopback
from services.agent.runtime.port import Running, Use
from tests.support.free_ports import free_port
from tests.support.runtime_stage import Stage
from tests.support.waiting import until

HOLDS = "exec python3 -c 'block = bytearray(50 << 20); block[::4096] = b\"x\" * len(block[::4096]); {}'"
SLEEPS = "import time; time.sleep(600)"
FORKS = """exec python3 -c '
import subprocess, time
while True:
    subprocess.run(["python3", "-c", "sum(range(1_000_000))"])
    time.sleep(0.01)
'"""
CALLS = """exec python3 -c '
import socket, time
while True:
    try:
        made = socket.create_connection(("localhost", {port}))
        made.sendall(b"hello")
        time.sleep(600)
    except OSError:
        time.sleep(0.05)
'"""


async def use_of(stage: Stage, running: Running) -> Use | None:
    await stage.runtime.instances()
    return (await stage.runtime.usage([running])).get(running.id)


async def test_memory_is_that_of_the_program(stage: Stage) -> None:
    running = await stage.start(stage.a_workload(script=HOLDS.format(SLEEPS)))

    async def seen() -> bool:
        use = await use_of(stage, running)
        return use is not None and 50 << 20 < use.memory_bytes < 120 << 20

    await until(seen, "the memory to be seen")


async def test_cpu_time_counts_programs_that_ended_and_never_falls(stage: Stage) -> None:
    running = await stage.start(stage.a_workload(script=FORKS))
    seen: list[float] = []

    async def enough() -> bool:
        use = await use_of(stage, running)
        seen.append(use.cpu_seconds if use is not None else 0.0)
        return seen[-1] - seen[0] > 0.5

    await until(enough, "half a second of CPU")

    assert seen == sorted(seen)


async def test_open_connections_are_counted(stage: Stage) -> None:
    running = await stage.start(stage.a_workload())
    await stage.listening(running)

    with contextlib.closing(socket.create_connection((running.address, running.port))):

        async def counted() -> bool:
            use = await use_of(stage, running)
            return use is not None and use.connections == 1

        await until(counted, "one connection")


async def test_what_has_ended_uses_nothing(stage: Stage) -> None:
    workload = stage.a_workload(script="exit 0")
    running = await stage.start(workload)
    await stage.ended(workload)

    async def left_out() -> bool:
        return await use_of(stage, running) is None

    await until(left_out, "it to be left out")


async def test_a_program_that_calls_localhost_is_told_from_others(stage: Stage) -> None:
    if os.getuid() != 0 and stage.runtime.name is RuntimeName.DOCKER:
        pytest.skip("only root gets into the network of a container")
    port = free_port()
    other = await stage.start(stage.a_workload("b", script="sleep 600"))
    caller = await stage.start(stage.a_workload(script=CALLS.format(port=port)))

    inside = await stage.runtime.open_loopback(caller, port)

    async with heard_on(inside or listen_on_loopback(port)) as peer:
        owner = await stage.runtime.owner_of(peer, port, [other, caller])
        assert owner == (None if inside else caller.id)
        assert bool(inside) == (stage.runtime.name is RuntimeName.DOCKER)


@contextlib.asynccontextmanager
async def heard_on(listening: Sequence[socket.socket]) -> AsyncIterator[tuple[str, int]]:
    """Where the first call that says hello comes from, while it is open."""
    loop = asyncio.get_running_loop()
    accepts = [asyncio.ensure_future(loop.sock_accept(each)) for each in listening]
    try:
        done, _ = await asyncio.wait(accepts, return_when=asyncio.FIRST_COMPLETED, timeout=20)
        made, peer = done.pop().result()
        with made:
            assert await loop.sock_recv(made, 5) == b"hello"
            yield str(peer[0]), int(peer[1])
    finally:
        for accept in accepts:
            accept.cancel()
        for each in listening:
            each.close()
