"""gRPC and WebSocket pass through whole."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import websockets
from websockets.asyncio.server import serve

from tests.support.echo_calls import echo_calls
from tests.support.gateway_harness import TOKEN, Harness, bearer, echo_backend, service

WITH_TOKEN = (("authorization", f"Bearer {TOKEN}"),)


@pytest.fixture
async def model(gateway: Harness) -> AsyncIterator[Harness]:
    async with echo_calls() as echo:
        await gateway.serve(service("model", echo.port, grpc=True, keepalive_ms=200))
        yield gateway


def channel(gateway: Harness, authority: str = "model.easel.local") -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(
        gateway.settings.listen,
        options=[("grpc.default_authority", authority), ("grpc.use_local_subchannel_pool", 1)],
    )


@pytest.mark.parametrize("chosen_by", ["authority", "header"])
async def test_a_unary_call_keeps_its_answer_and_trailers(model: Harness, chosen_by: str) -> None:
    metadata = WITH_TOKEN if chosen_by == "authority" else (*WITH_TOKEN, ("x-easel-service", "model"))
    authority = "model.easel.local" if chosen_by == "authority" else "gateway"

    async with channel(model, authority) as dialled:
        call = dialled.unary_unary("/echo.Echo/Unary")(b"hello", metadata=metadata)

        assert await call == b"hello"
        assert dict(await call.trailing_metadata())["x-trailer"] == "seen"


async def test_streams_pass_in_both_directions_and_outlast_the_keepalive(model: Harness) -> None:
    async def paced() -> AsyncIterator[bytes]:
        for part in (b"a", b"b", b"c"):
            yield part
            await asyncio.sleep(0.15)

    async with channel(model) as dialled:
        down = [each async for each in dialled.unary_stream("/echo.Echo/Down")(b"x", metadata=WITH_TOKEN)]
        up = await dialled.stream_unary("/echo.Echo/Up")(paced(), metadata=WITH_TOKEN)
        both = [each async for each in dialled.stream_stream("/echo.Echo/Both")(paced(), metadata=WITH_TOKEN)]

    assert (down, up, both) == ([b"x"] * 3, b"abc", [b"a", b"b", b"c"])


async def status_of(model: Harness, method: str, authority: str = "model.easel.local", **more: Any) -> Any:
    async with channel(model, authority) as dialled:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await dialled.unary_unary(f"/echo.Echo/{method}")(b"", **({"metadata": WITH_TOKEN} | more))
    return refused.value


async def test_the_status_of_a_model_passes(model: Harness) -> None:
    refused = await status_of(model, "Missing")

    assert (refused.code(), refused.details()) == (grpc.StatusCode.NOT_FOUND, "no such model")


async def test_a_deadline_ends_a_call(model: Harness) -> None:
    metadata = (*WITH_TOKEN, ("grpc-timeout", "300m"))

    refused = await status_of(model, "Silent", metadata=metadata)

    assert refused.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_the_gateways_own_refusals_are_grpc_statuses_with_a_sentence(model: Harness) -> None:
    unauthenticated = await status_of(model, "Unary", metadata=())
    unknown = await status_of(model, "Unary", authority="other.easel.local")
    await model.serve(service("empty", grpc=True))
    empty = await status_of(model, "Unary", authority="empty.easel.local")

    assert unauthenticated.code() is grpc.StatusCode.UNAUTHENTICATED
    assert unauthenticated.details().startswith("the token is missing or wrong")
    assert unknown.code() is grpc.StatusCode.UNIMPLEMENTED
    assert unknown.details().startswith("no service answers here")
    assert empty.code() is grpc.StatusCode.UNAVAILABLE
    assert empty.details().startswith("no healthy upstream")


async def test_a_websocket_echoes_and_may_be_silent_longer_than_the_keepalive(gateway: Harness) -> None:
    async def answer(socket: Any) -> None:
        async for message in socket:
            await asyncio.sleep(0.4)
            await socket.send(message)

    async with serve(answer, "127.0.0.1", 0) as backend:
        port = next(iter(backend.sockets)).getsockname()[1]
        await gateway.serve(service("chat", port, keepalive_ms=200))
        url = f"ws://{gateway.settings.listen}/api/predict/chat/ws"

        async with websockets.connect(url, additional_headers=bearer()) as socket:
            await socket.send("hello")

            assert await socket.recv() == "hello"

        with pytest.raises(websockets.InvalidStatus):
            await websockets.connect(url)


async def test_http_2_without_tls_is_taken_on_the_same_port(gateway: Harness) -> None:
    async with echo_backend() as echo:
        await gateway.serve(service("svc", echo.port))
        curl = await asyncio.create_subprocess_exec(
            *(
                "curl",
                "-s",
                "--http2-prior-knowledge",
                "-o",
                "/dev/null",
                "-w",
                "%{http_version} %{http_code}",
            ),
            *("-H", f"Authorization: {TOKEN}", f"{gateway.url}/api/predict/svc"),
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await curl.communicate()

    assert output == b"2 200"
