"""What Envoy does with its connections to an instance that is taken out of traffic.

The agent ends an instance once nobody is connected to its port any more; this is what that rests on.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from services.agent.runtime.listeners import connections_to
from tests.support.gateway_harness import TOKEN, EchoBackend, Harness, bearer, service
from tests.support.waiting import until

WITH_TOKEN = (("authorization", f"Bearer {TOKEN}"),)


class Model(grpc.GenericRpcHandler):
    """`/m/Unary` answers at once, `/m/Stream` sends one message and the last one when `release` is set."""

    def __init__(self) -> None:
        self.release = asyncio.Event()

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        return {
            "/m/Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "/m/Stream": grpc.unary_stream_rpc_method_handler(self.stream),
        }.get(details.method)

    async def unary(self, request: bytes, context: Any) -> bytes:
        return request

    async def stream(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        yield b"first"
        await self.release.wait()
        yield b"last"


@pytest.fixture
async def model() -> AsyncIterator[tuple[Model, int]]:
    server, model = grpc.aio.server(), Model()
    server.add_generic_rpc_handlers((model,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield model, port
    await server.stop(0)


async def test_idle_http_connections_close_when_the_instance_leaves(
    gateway: Harness, echo: EchoBackend
) -> None:
    await gateway.serve(service("echo", echo.port))
    asked = (gateway.http.get(f"{gateway.url}/api/predict/echo", headers=bearer()) for _ in range(8))
    assert {answer.status_code for answer in await asyncio.gather(*asked)} == {200}

    await gateway.serve(service("echo"))

    await until(lambda: connections_to(echo.port) == 0, "no connection to be left")


async def test_a_response_in_flight_keeps_its_connection_to_its_end_and_no_longer(
    gateway: Harness, echo: EchoBackend
) -> None:
    await gateway.serve(service("echo", echo.port))
    url = f"{gateway.url}/api/predict/echo/events/40/50"
    async with gateway.http.stream("GET", url, headers=bearer()) as answer:
        lines = answer.aiter_lines()
        assert await anext(lines) == "data: 0"
        idle = await gateway.http.get(f"{gateway.url}/api/predict/echo", headers=bearer())
        assert idle.status_code == 200

        await gateway.serve(service("echo"))

        await until(lambda: connections_to(echo.port) == 1, "only the stream's connection to be left")
        rest = [line async for line in lines if line]
        assert rest[-1] == "data: 39"
    await until(lambda: connections_to(echo.port) == 0, "no connection to be left")


async def test_idle_grpc_connections_close_when_the_instance_leaves(
    gateway: Harness, model: tuple[Model, int]
) -> None:
    _, port = model
    await gateway.serve(service("model", port, grpc=True))
    async with _channel(gateway) as channel:
        assert await channel.unary_unary("/m/Unary")(b"x", metadata=WITH_TOKEN) == b"x"
        assert connections_to(port) > 0

        await gateway.serve(service("model", grpc=True))

        await until(lambda: connections_to(port) == 0, "no connection to be left")


async def test_a_grpc_stream_in_flight_keeps_its_connection_to_its_end(
    gateway: Harness, model: tuple[Model, int]
) -> None:
    backend, port = model
    await gateway.serve(service("model", port, grpc=True))
    async with _channel(gateway) as channel:
        call = channel.unary_stream("/m/Stream")(b"x", metadata=WITH_TOKEN)
        assert await call.read() == b"first"

        await gateway.serve(service("model", grpc=True))

        assert connections_to(port) == 1
        backend.release.set()
        assert await call.read() == b"last"
        await until(lambda: connections_to(port) == 0, "no connection to be left")


def _channel(gateway: Harness) -> grpc.aio.Channel:
    options = [("grpc.default_authority", "model.easel.local"), ("grpc.use_local_subchannel_pool", 1)]
    return grpc.aio.insecure_channel(gateway.settings.listen, options=options)
