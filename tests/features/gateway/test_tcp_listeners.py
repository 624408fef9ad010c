"""Ports at which TCP is handed on to where clients reach a service directly."""

import asyncio
import contextlib
import socket
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from easel.gateway.v1 import gateway_pb2 as pb
from tests.support.free_ports import free_port
from tests.support.gateway_harness import EchoBackend, Harness, bearer, service
from tests.support.waiting import until


@asynccontextmanager
async def saying(word: bytes) -> AsyncIterator[int]:
    """A server that says one word to each connection, and then what it hears."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            writer.write(word)
            while heard := await reader.read(1000):
                writer.write(heard)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def with_port(name: str, listen: int, *places: tuple[str, int, int]) -> pb.ServiceRoute:
    direct = [pb.DirectEndpoint(address=host, port=port, weight=weight) for host, port, weight in places]
    return service(name, direct=direct, tcp_listeners=[pb.TcpListener(id="default", port=listen)])


async def heard(port: int, count: int = 1) -> bytes:
    """What a new connection hears first; empty while there is none to be had."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        word = await reader.read(count)
    except ConnectionError:
        return b""
    writer.close()
    return word


async def test_connections_reach_every_place_by_its_weight(gateway: Harness) -> None:
    listen = free_port()
    async with saying(b"a") as first, saying(b"b") as second:
        places = ("127.0.0.1", first, 3), ("127.0.0.1", second, 1)

        await gateway.serve(with_port("svc", listen, *places))

        await until(lambda: heard(listen), "a connection")
        counted = Counter([await heard(listen) for _ in range(40)])
    assert set(counted) == {b"a", b"b"}
    assert counted[b"a"] > counted[b"b"]


async def test_a_place_may_be_the_name_of_a_host(gateway: Harness) -> None:
    listen = free_port()
    async with saying(b"a") as port:
        await gateway.serve(with_port("svc", listen, ("localhost", port, 1)))

        await until(lambda: heard(listen), "a connection")


async def test_places_come_and_go_without_touching_a_connection(gateway: Harness) -> None:
    listen = free_port()
    async with saying(b"a") as first, saying(b"b") as second:
        await gateway.serve(with_port("svc", listen, ("127.0.0.1", first, 1)))
        await until(lambda: heard(listen), "a connection")
        reader, writer = await asyncio.open_connection("127.0.0.1", listen)
        assert await reader.readexactly(1) == b"a"

        await gateway.serve(with_port("svc", listen, ("127.0.0.1", second, 1)), service("other"))

        await until(lambda: _hears(listen, b"b"), "the other place")
        writer.write(b"still here")
        assert await reader.readexactly(10) == b"still here"
        writer.close()


async def _hears(port: int, word: bytes) -> bool:
    return await heard(port) == word


async def test_the_port_closes_with_its_service(gateway: Harness, echo: EchoBackend) -> None:
    listen = free_port()
    async with saying(b"a") as port:
        await gateway.serve(with_port("svc", listen, ("127.0.0.1", port, 1)), service("echo", echo.port))
        await until(lambda: heard(listen), "a connection")

        await gateway.scheduler.until_applied(gateway.scheduler.remove("svc"))

        await until(lambda: _hears(listen, b""), "the port to be closed")
    answer = await gateway.http.get(f"{gateway.url}/api/predict/echo", headers=bearer())
    assert answer.status_code == 200


async def test_a_port_moves_from_one_service_to_another(gateway: Harness) -> None:
    listen = free_port()
    async with saying(b"a") as first, saying(b"b") as second:
        await gateway.serve(with_port("one", listen, ("127.0.0.1", first, 1)))
        await until(lambda: heard(listen), "a connection")

        gateway.scheduler.remove("one")
        await gateway.serve(with_port("two", listen, ("127.0.0.1", second, 1)))

        await until(lambda: _hears(listen, b"b"), "the other service")


async def test_a_port_that_is_taken_is_reported_and_disturbs_nothing_else(
    gateway: Harness, echo: EchoBackend
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        taken = holder.getsockname()[1]
        async with saying(b"a") as port:
            generation = gateway.scheduler.set(
                with_port("svc", taken, ("127.0.0.1", port, 1)), service("echo", echo.port)
            )

            await gateway.scheduler.until_applied(generation)

            await until(lambda: gateway.scheduler.refused, "the refusal")
    assert list(gateway.scheduler.refused[0].resources) == [f"tcp/svc/{taken}"]
    answer = await gateway.http.get(f"{gateway.url}/api/predict/echo", headers=bearer())
    assert answer.status_code == 200


async def test_networks_that_may_not_call_may_not_connect(gateway: Harness) -> None:
    listen = free_port()
    async with saying(b"a") as port:
        await gateway.serve(with_port("svc", listen, ("127.0.0.1", port, 1)))
        await until(lambda: heard(listen), "a connection")

        await gateway.configure(deny=["127.0.0.0/8"])

        await until(lambda: _hears(listen, b""), "connections to be turned away")
