"""Who may call, how much, how slowly: what the gateway refuses by itself while others are served."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import grpc
import httpx
import pytest
import websockets
from websockets.asyncio.server import ServerConnection, serve

from libs.lifecycle import pause
from tests.support.explained import explained
from tests.support.gateway_harness import (
    TOKEN,
    EchoBackend,
    Harness,
    bearer,
    echo_backend,
    harness,
    service,
    traffic,
)
from tests.support.waiting import until

MIB = 1024 * 1024


async def until_answered(gateway: Harness, status: int) -> httpx.Response:
    async def answered() -> httpx.Response | None:
        answer = await gateway.http.get(f"{gateway.url}/api/predict/svc", headers=bearer())
        return answer if answer.status_code == status else None

    found = await until(answered, f"an answer {status}")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("allow", "deny", "status"),
    [
        (["10.0.0.0/8"], [], 403),
        (["10.0.0.0/8", "127.0.0.0/8"], [], 200),
        ([], ["127.0.0.1"], 403),
        ([], ["10.0.0.0/8", "fd00::/8"], 200),
        (["127.0.0.0/8"], ["127.0.0.1/32"], 403),
        (["::1/128"], [], 403),
    ],
)
async def test_networks_are_let_in_or_turned_away_and_deny_wins(
    gateway: Harness, echo: EchoBackend, allow: list[str], deny: list[str], status: int
) -> None:
    await gateway.serve(service("svc", echo.port))

    await gateway.configure(allow=allow, deny=deny)

    answer = await until_answered(gateway, status)
    said = await explained(gateway, from_address="127.0.0.1")
    assert said.status == (0 if status == 200 else status)
    if status == 403:
        assert answer.json()["code"] == 403
        assert "your network" in answer.json()["message"]
        assert echo.requests == [] or echo.requests[-1] == "/"


async def test_a_client_cannot_say_that_it_comes_from_elsewhere(gateway: Harness, echo: EchoBackend) -> None:
    await gateway.serve(service("svc", echo.port))
    await gateway.configure(allow=["10.0.0.0/8"])
    await until_answered(gateway, 403)

    claim = {"x-forwarded-for": "10.1.1.1", "x-real-ip": "10.1.1.1", "x-envoy-external-address": "10.1.1.1"}
    answer = await gateway.http.get(f"{gateway.url}/api/predict/svc", headers=bearer() | claim)

    assert answer.status_code == 403


async def test_the_shared_gateway_takes_bodies_of_a_mebibyte_and_no_more(
    gateway: Harness, echo: EchoBackend
) -> None:
    await gateway.serve(service("svc", echo.port))
    url = f"{gateway.url}/api/predict/svc"

    whole = await gateway.http.post(url, headers=bearer(), content=b"x" * MIB)
    longer = await gateway.http.post(url, headers=bearer(), content=b"x" * (MIB + 1))

    assert whole.status_code == 200
    assert longer.status_code == 413
    assert longer.json() == {"code": 413, "message": "the body is longer than the gateway takes: 1 MiB"}
    assert "the gateway's body limit: 413 above 1 MiB" in (await explained(gateway)).limits
    assert len(echo.requests) == 1


async def test_a_body_of_unknown_length_is_counted_as_it_passes_and_not_held_back(
    gateway: Harness,
) -> None:
    received, ended = asyncio.Event(), asyncio.Event()

    async def instance(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"first piece")
        received.set()
        while await reader.read(65536):
            continue
        ended.set()
        writer.close()

    async def body() -> AsyncIterator[bytes]:
        yield b"first piece"
        await received.wait()
        for _ in range(20):
            yield b"x" * 65536

    server = await asyncio.start_server(instance, "127.0.0.1", 0)
    async with server:
        await gateway.serve(service("svc", server.sockets[0].getsockname()[1]))

        answer = await gateway.http.post(f"{gateway.url}/api/predict/svc", headers=bearer(), content=body())

        assert answer.status_code == 413
        await until(ended.is_set, "the instance to be told that nothing more comes")


@pytest.mark.parametrize("limit", [{"no_body_limit": True}, {"body_limit_bytes": 3 * MIB}])
async def test_the_body_limit_is_a_setting(
    gateway: Harness, echo: EchoBackend, limit: dict[str, int]
) -> None:
    await gateway.serve(service("svc", echo.port))

    await gateway.configure(**limit)

    async def taken() -> bool:
        answer = await gateway.http.post(
            f"{gateway.url}/api/predict/svc", headers=bearer(), content=b"x" * 2 * MIB
        )
        return answer.status_code == 200

    await until(taken, "the longer body to be taken")


async def test_other_gateways_take_any_body(tmp_path: Path, echo: EchoBackend) -> None:
    async with harness(tmp_path, name="dedicated") as gateway:
        await gateway.serve(service("svc", echo.port))

        answer = await gateway.http.post(
            f"{gateway.url}/api/predict/svc", headers=bearer(), content=b"x" * 4 * MIB
        )

    assert answer.status_code == 200


async def test_calls_of_grpc_and_web_sockets_are_not_bodies(gateway: Harness) -> None:
    class Sizes(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            return grpc.stream_unary_rpc_method_handler(self.sum)

        async def sum(self, requests: AsyncIterator[bytes], context: object) -> bytes:
            return str(sum([len(each) async for each in requests])).encode()

    async def counting(connection: ServerConnection) -> None:
        total = 0
        async for message in connection:
            total += len(message)
            await connection.send(str(total))

    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Sizes(),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with serve(counting, "127.0.0.1", 0) as sockets:
        web = next(iter(sockets.sockets)).getsockname()[1]
        await gateway.serve(service("model", port, grpc=True), service("web", web))

        async with grpc.aio.insecure_channel(gateway.settings.listen) as channel:
            call = channel.stream_unary("/m/Sum")
            pieces = (b"x" * 65536 for _ in range(64))
            metadata = (("authorization", f"Bearer {TOKEN}"), ("x-easel-service", "model"))
            assert await call(pieces, metadata=metadata) == str(4 * MIB).encode()
        url = f"ws://{gateway.settings.listen}/api/predict/web/"
        async with websockets.connect(url, additional_headers=bearer()) as socket:
            for _ in range(64):
                await socket.send(b"x" * 65536)
            seen = ""
            while seen != str(4 * MIB):
                seen = str(await socket.recv())
    await server.stop(0)


@pytest.mark.parametrize("headers", [{"x-long": "x" * 70_000}, {f"x-{i}": "x" for i in range(120)}])
async def test_more_headers_than_the_gateway_takes_are_431(
    gateway: Harness, echo: EchoBackend, headers: dict[str, str]
) -> None:
    await gateway.serve(service("svc", echo.port))

    async with traffic(f"{gateway.url}/api/predict/svc", clients=1) as others:
        answer = await gateway.http.get(f"{gateway.url}/api/predict/svc", headers=bearer() | headers)
        await others.more(10)

    assert answer.status_code == 431
    assert answer.json()["code"] == 431
    assert others.failures == []


async def test_headers_that_do_not_come_to_an_end_are_given_up_while_others_are_served(
    gateway: Harness, echo: EchoBackend
) -> None:
    await gateway.serve(service("svc", echo.port))
    pairs = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(50)]
    stop = asyncio.Event()

    async def drip(writer: asyncio.StreamWriter) -> None:
        writer.write(b"GET /api/predict/svc HTTP/1.1\r\nhost: x\r\nx-slow: ")
        with contextlib.suppress(ConnectionError):
            while not stop.is_set():
                writer.write(b"x")
                await writer.drain()
                await pause(stop, timedelta(milliseconds=200))
        writer.close()

    drips = [asyncio.create_task(drip(writer)) for _, writer in pairs]
    async with traffic(f"{gateway.url}/api/predict/svc", clients=2) as others:
        answers = await asyncio.gather(*(reader.readuntil(b"\r\n") for reader, _ in pairs))
        await others.more(10)
    stop.set()
    await asyncio.gather(*drips)

    assert set(answers) == {b"HTTP/1.1 408 Request Timeout\r\n"}
    assert others.failures == []


async def test_connections_beyond_the_number_that_was_set_are_closed(
    gateway: Harness, echo: EchoBackend
) -> None:
    await gateway.serve(service("svc", echo.port))
    await gateway.configure(max_connections=2)

    async def opened() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", gateway.port)

    async def one_is_closed() -> bool:
        pairs = [await opened() for _ in range(4)]
        try:
            ends = [asyncio.create_task(reader.read(1)) for reader, _ in pairs]
            done, waiting = await asyncio.wait(ends, timeout=0.5)
            for each in waiting:
                each.cancel()
            return len(done) == 2
        finally:
            for _, writer in pairs:
                writer.close()

    await until(one_is_closed, "two of four connections to be closed")


async def test_a_change_of_settings_cuts_no_answer_that_is_on_its_way(gateway: Harness) -> None:
    async with echo_backend() as echo:
        await gateway.serve(service("svc", echo.port))
        url = f"{gateway.url}/api/predict/svc/events/40/100"

        async with gateway.http.stream("GET", url, headers=bearer()) as answer:
            lines = answer.aiter_lines()
            first = await anext(lines)
            await gateway.configure(no_body_limit=True, deny=["10.0.0.0/8"])
            rest = [line async for line in lines if line]

    assert first == "data: 0"
    assert rest[-1] == "data: 39"
