"""The health check that containers run."""

import asyncio

from libs.rpc.health import main
from libs.rpc.server import serving


async def test_a_server_that_serves_is_healthy() -> None:
    async with serving([], "127.0.0.1:0") as port:
        status = await asyncio.to_thread(main, [f"127.0.0.1:{port}"])

    assert status == 0


async def test_a_server_that_is_gone_is_unhealthy() -> None:
    async with serving([], "127.0.0.1:0") as port:
        pass

    status = await asyncio.to_thread(main, [f"127.0.0.1:{port}"])

    assert status == 1
