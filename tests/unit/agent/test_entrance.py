"""Where programs post their metrics: who may hold it up, and for how long."""

import asyncio
import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from aiohttp import web

from services.agent.telemetry.entrance import Desk
from services.agent.telemetry.posted import Posted
from services.agent.workload import Workload
from tests.support.waiting import until

MORE_THAN_THERE_IS_ROOM_FOR = 300


async def an_instance(_request: web.BaseRequest) -> str:
    return "echo-1"


@asynccontextmanager
async def an_inlet(posted: Posted) -> AsyncIterator[tuple[str, int]]:
    workload = Workload("echo-1", "echo", 1, 1, "hash", metrics={"queue": frozenset()})
    inlet = Desk(lambda _instance: workload, posted).inlet(an_instance)
    server = await asyncio.get_running_loop().create_server(inlet, "127.0.0.1", 0)
    yield server.sockets[0].getsockname()
    server.close()


async def test_connections_that_ask_nothing_keep_nobody_from_posting() -> None:
    posted = Posted()
    silent: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    async with an_inlet(posted) as (host, port), httpx.AsyncClient() as program:
        for number in range(MORE_THAN_THERE_IS_ROOM_FOR):
            silent.append(await asyncio.open_connection(host, port))
            if number % 2:
                silent[-1][1].write(b"POST /api/builtin/realtime_metrics HTTP/1.1\r\nHo")

        answer = await program.post(f"http://{host}:{port}", json=[{"name": "queue", "value": 3}])

        assert answer.json() == {"accepted": 1}
        await until(silent[0][0].at_eof, "the oldest of them to be closed")
        for _, writer in silent:
            writer.close()
    assert [(instance, value.value) for instance, value in posted.untold()] == [("echo-1", 3.0)]


async def test_a_body_that_is_compressed_is_refused_and_not_unpacked() -> None:
    packed = gzip.compress(b'[{"name": "queue", "value": 3}]')
    async with an_inlet(Posted()) as (host, port), httpx.AsyncClient() as program:
        answer = await program.post(
            f"http://{host}:{port}", content=packed, headers={"Content-Encoding": "gzip"}
        )

    assert answer.status_code == 415
    assert answer.json() == {"error": "got Content-Encoding gzip, expected a body that is not compressed"}
