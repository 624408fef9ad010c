"""Copies of requests reach the targets of a mirror, and no target is felt by who calls."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import grpc
import httpx
import pytest
import websockets
from websockets.asyncio.server import serve

from easel.gateway.v1 import gateway_pb2 as pb
from tests.support import bad_targets
from tests.support.gateway_harness import TOKEN, EchoBackend, Harness, bearer, echo_backend, service, traffic
from tests.support.waiting import until

MEGABYTE = 1024 * 1024


@pytest.fixture
async def shadow() -> AsyncIterator[EchoBackend]:
    async with echo_backend("shadow") as backend:
        yield backend


def mirror(*ports: int, name: str = "shadow", **more: Any) -> pb.Mirror:
    values: dict[str, Any] = {"ratio": 100, "keepalive_ms": 5000}
    endpoints = [pb.Endpoint(instance=f"{name}-{port}", address="127.0.0.1", port=port) for port in ports]
    return pb.Mirror(service=name, endpoints=endpoints, **(values | more))


async def test_each_request_is_copied_at_a_ratio_of_100(
    gateway: Harness, echo: EchoBackend, shadow: EchoBackend
) -> None:
    await gateway.serve(service("main", echo.port, mirrors=[mirror(shadow.port)]))

    for number in range(20):
        answer = await gateway.http.post(f"{gateway.url}/api/predict/main/x/{number}?a=b", headers=bearer())
        assert answer.json()["backend"] == "echo"

    await until(lambda: len(shadow.requests) == 20, "all copies to come")
    assert sorted(shadow.requests) == sorted(f"/x/{number}?a=b" for number in range(20))


async def test_about_as_many_requests_are_copied_as_the_ratio_says(
    gateway: Harness, echo: EchoBackend, shadow: EchoBackend
) -> None:
    await gateway.serve(service("main", echo.port, mirrors=[mirror(shadow.port, ratio=20)]))

    async with traffic(f"{gateway.url}/api/predict/main") as load:
        await load.more(2000)
    copied, sent = len(shadow.requests), load.answered

    # Five standard deviations of the binomial distribution.
    assert not load.failures
    assert abs(copied - 0.2 * sent) < 5 * (sent * 0.2 * 0.8) ** 0.5 + 10


async def test_a_mirror_copies_as_much_of_each_member_of_a_group(
    gateway: Harness, echo: EchoBackend, shadow: EchoBackend
) -> None:
    async with echo_backend("canary") as canary:
        copied = {"mirrors": [mirror(shadow.port, ratio=20)], "group": "both"}
        await gateway.serve(
            service("main", echo.port, group="both"), service("canary", canary.port, **copied)
        )
        members = [pb.GroupMember(service="main", weight=80), pb.GroupMember(service="canary", weight=20)]
        group = pb.GroupRoute(name="both", tokens=[TOKEN], members=members)
        await gateway.scheduler.until_applied(gateway.scheduler.set_groups(group))

        async with traffic(f"{gateway.url}/api/predict/both") as load:
            await until(lambda: len(canary.requests) >= 500 or load.failures, "the canary's share")

        got = len(canary.requests)
        assert not load.failures
        assert abs(len(shadow.requests) - 0.2 * got) < 5 * (got * 0.2 * 0.8) ** 0.5 + 10


async def test_a_copy_says_whose_it_is_and_opens_nothing(
    gateway: Harness, echo: EchoBackend, shadow: EchoBackend
) -> None:
    seen: list[dict[str, str]] = []
    shadow.heard = seen.append
    await gateway.serve(service("main", echo.port, mirrors=[mirror(shadow.port)]))

    sent = bearer() | {"Cookie": "session=1", "X-Model": "a"}
    answer = await gateway.http.post(f"{gateway.url}/api/predict/main", headers=sent, content=b"hello")
    await until(lambda: seen, "the copy")

    assert answer.json()["headers"]["authorization"] == bearer()["Authorization"]
    assert {"authorization", "cookie"}.isdisjoint(seen[0])
    assert seen[0]["x-easel-mirror-of"] == "main"
    assert seen[0]["x-model"] == "a"
    assert seen[0]["host"] == answer.json()["headers"]["host"]


@pytest.mark.parametrize(
    ("service_keeps", "target_keeps", "at"),
    [
        (False, True, "/api/predict/shadow/x?a=b"),
        (True, True, "/api/predict/shadow/x?a=b"),
        (True, False, "/x?a=b"),
    ],
)
async def test_a_copy_comes_at_the_path_that_the_target_expects(
    gateway: Harness,
    echo: EchoBackend,
    shadow: EchoBackend,
    service_keeps: bool,
    target_keeps: bool,
    at: str,
) -> None:
    target = mirror(shadow.port, keep_path=target_keeps)
    await gateway.serve(service("main", echo.port, keep_path=service_keeps, mirrors=[target]))

    await gateway.http.post(f"{gateway.url}/api/predict/main/x?a=b", headers=bearer())

    await until(lambda: shadow.requests, "the copy")
    assert shadow.requests == [at]


async def test_several_targets_get_a_copy_each(
    gateway: Harness, echo: EchoBackend, shadow: EchoBackend
) -> None:
    async with echo_backend("other") as other:
        targets = [mirror(shadow.port), mirror(other.port, name="other")]
        await gateway.serve(service("main", echo.port, mirrors=targets))

        await gateway.http.post(f"{gateway.url}/api/predict/main", headers=bearer())

        await until(lambda: shadow.requests and other.requests, "both copies")


async def test_a_copied_request_is_not_copied_again(
    gateway: Harness, echo: EchoBackend, shadow: EchoBackend
) -> None:
    await gateway.serve(
        service("main", echo.port, mirrors=[mirror(shadow.port)]),
        service("shadow", shadow.port, mirrors=[mirror(echo.port, name="main")]),
    )

    await gateway.http.post(f"{gateway.url}/api/predict/main", headers=bearer())
    await until(lambda: shadow.requests, "the copy")
    await gateway.http.post(f"{gateway.url}/api/predict/main", headers=bearer())
    await until(lambda: len(shadow.requests) == 2, "the other copy")

    assert len(echo.requests) == 2


async def test_a_paused_mirror_copies_nothing(
    gateway: Harness, echo: EchoBackend, shadow: EchoBackend
) -> None:
    await gateway.serve(service("main", echo.port, mirrors=[mirror(shadow.port, ratio=0)]))
    await gateway.http.post(f"{gateway.url}/api/predict/main/first", headers=bearer())
    await gateway.serve(service("main", echo.port, mirrors=[mirror(shadow.port)]))
    await gateway.http.post(f"{gateway.url}/api/predict/main/second", headers=bearer())

    await until(lambda: shadow.requests, "the copy")
    assert shadow.requests == ["/second"]


async def in_pieces(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"y" * 65536


BodyOf = Callable[[], Any]
BODIES: dict[str, BodyOf] = {
    "nothing": lambda: b"",
    "little": lambda: b"x" * 1000,
    "nearly as much as is copied": lambda: b"x" * (MEGABYTE - 1000),
    "8 MB": lambda: b"x" * 8 * MEGABYTE,
    "8 MB in pieces": lambda: in_pieces(128),
}


@pytest.mark.parametrize("bad", [bad_targets.never_reading, bad_targets.never_answering, bad_targets.dead])
async def test_no_target_is_felt_by_who_calls_however_much_is_sent(
    gateway: Harness, bad: Callable[[], AbstractAsyncContextManager[int]]
) -> None:
    async with bad() as port, large_echo() as main:
        await gateway.configure(no_body_limit=True)
        # A target that could hold up a request would do so for far longer than the client waits.
        await gateway.serve(service("main", main, mirrors=[mirror(port, keepalive_ms=600_000)]))

        async with httpx.AsyncClient(timeout=10) as http:
            for body in BODIES.values():
                for _ in range(3):
                    answer = await http.post(
                        f"{gateway.url}/api/predict/main", headers=bearer(), content=body()
                    )
                    assert answer.status_code == 200


async def test_a_target_that_hangs_piles_nothing_up(gateway: Harness, echo: EchoBackend) -> None:
    async with bad_targets.never_answering() as port:
        await gateway.serve(service("main", echo.port, mirrors=[mirror(port, keepalive_ms=600_000)]))

        async with traffic(f"{gateway.url}/api/predict/main") as load:
            await load.more(500)

        under_way = await statistic(gateway, "cluster.main/~shadow.upstream_rq_active")
        assert not load.failures
        assert under_way <= 100


async def test_a_copy_ends_with_the_keepalive_of_its_target(gateway: Harness, echo: EchoBackend) -> None:
    async with bad_targets.never_answering() as port:
        await gateway.serve(service("main", echo.port, mirrors=[mirror(port, keepalive_ms=200)]))

        await gateway.http.post(f"{gateway.url}/api/predict/main", headers=bearer(), content=b"x")

        async def over() -> bool:
            total = await statistic(gateway, "cluster.main/~shadow.upstream_rq_total")
            return total == 1 and not await statistic(gateway, "cluster.main/~shadow.upstream_rq_active")

        await until(over, "the copy to be given up")


async def test_a_target_comes_and_goes_under_load_without_a_failed_request(
    gateway: Harness, echo: EchoBackend, shadow: EchoBackend
) -> None:
    with_target = service("main", echo.port, mirrors=[mirror(shadow.port)])
    await gateway.serve(with_target)

    async with traffic(f"{gateway.url}/api/predict/main") as load:
        for _ in range(5):
            await gateway.serve(service("main", echo.port, mirrors=[mirror()]))
            await load.more(20)
            await gateway.serve(with_target)
            await load.more(20)
            await gateway.serve(service("main", echo.port))
            await load.more(20)
            await gateway.serve(with_target)

    assert not load.failures


async def test_a_websocket_is_not_copied(gateway: Harness, shadow: EchoBackend) -> None:
    async def back(connection: Any) -> None:
        async for message in connection:
            await connection.send(message)

    async with serve(back, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        await gateway.serve(service("main", port, mirrors=[mirror(shadow.port)]))

        url = f"ws://{gateway.settings.listen}/api/predict/main/chat"
        async with websockets.connect(url, additional_headers=bearer()) as chat:
            for word in ("one", "two"):
                await chat.send(word)
                assert await chat.recv() == word
        await gateway.http.post(f"{gateway.url}/api/predict/main/after", headers=bearer())

        await until(lambda: shadow.requests, "the copy of what came after")
        assert shadow.requests == ["/after"]


class Calls(grpc.GenericRpcHandler):
    """Answers each message of a call with itself, and keeps what it has read once a call is over."""

    def __init__(self) -> None:
        self.seen: list[list[bytes]] = []

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        return grpc.stream_stream_rpc_method_handler(self.both)

    async def both(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        read: list[bytes] = []
        async for each in requests:
            read.append(each)
            yield each
        self.seen.append(read)


@asynccontextmanager
async def calls() -> AsyncIterator[tuple[Calls, int]]:
    handler, server = Calls(), grpc.aio.server()
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield handler, port
    finally:
        await server.stop(0)


async def test_a_grpc_call_is_copied_once_its_client_has_said_all(gateway: Harness) -> None:
    async with calls() as (_, main), calls() as (copies, shadow):
        target = mirror(shadow, grpc=True)
        await gateway.serve(service("main", main, grpc=True, mirrors=[target]))

        authority = [("grpc.default_authority", "main.easel.local")]
        async with grpc.aio.insecure_channel(gateway.settings.listen, options=authority) as channel:
            metadata = [("authorization", bearer()["Authorization"])]
            call: Any = channel.stream_stream("/test.Test/Both")(metadata=metadata)
            for word in (b"one", b"two"):
                await call.write(word)
                assert await call.read() == word
            assert not copies.seen
            await call.done_writing()
            assert await call.read() is grpc.aio.EOF

        await until(lambda: copies.seen, "the copy")
        assert copies.seen == [[b"one", b"two"]]


async def statistic(gateway: Harness, name: str) -> int:
    """A number of the gateway's own Envoy."""
    transport = httpx.AsyncHTTPTransport(uds=str(gateway.settings.data_dir / "admin.sock"))
    async with httpx.AsyncClient(transport=transport, base_url="http://envoy") as admin:
        counted = (await admin.get("/stats", params={"format": "json", "filter": f"^{name}$"})).json()
    return sum(int(each.get("value", 0)) for each in counted["stats"])


class large_echo:  # noqa: N801
    """Reads a request of any length and form, and answers that it was read."""

    async def __aenter__(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=MEGABYTE)
        return int(self._server.sockets[0].getsockname()[1])

    async def __aexit__(self, *failure: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                await self._body(head.lower(), reader)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _body(self, head: bytes, reader: asyncio.StreamReader) -> None:
        if b"transfer-encoding: chunked" in head:
            while size := int((await reader.readline()).strip(), 16):
                await reader.readexactly(size + 2)
            await reader.readline()
            return
        length = head.partition(b"content-length: ")[2].partition(b"\r\n")[0]
        await reader.readexactly(int(length or 0))
