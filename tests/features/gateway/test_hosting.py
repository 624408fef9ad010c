"""Further gateways that the process of one runs beside it."""

import contextlib
import os
import signal
import socket
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx

from easel.gateway.v1 import gateway_pb2 as pb
from services.gateway.envoy import process
from tests.support.free_ports import free_port
from tests.support.gateway_harness import (
    EchoBackend,
    Harness,
    ScriptedScheduler,
    bearer,
    gateway_process,
    harness,
    scripted_scheduler,
    service,
    settings_for,
)
from tests.support.waiting import until


def answers(port: int, path: str = "svc") -> Callable[[], Coroutine[Any, Any, bool]]:
    async def asked() -> bool:
        async with httpx.AsyncClient(timeout=20) as http:
            with contextlib.suppress(httpx.TransportError):
                url = f"http://127.0.0.1:{port}/api/predict/{path}"
                return (await http.get(url, headers=bearer())).status_code == 200
        return False

    return asked


def silent(port: int) -> Callable[[], bool]:
    def refused() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) != 0

    return refused


def a_gateway(name: str, port: int) -> pb.HostedGateway:
    return pb.HostedGateway(name=name, port=port, workers=1)


def directory_of(gateway: Harness, name: str) -> Path:
    return gateway.settings.data_dir / "gateways" / name


def envoy_in(directory: Path) -> process.Running | None:
    return process.recorded(process.Launch(directory, "", 1))


async def test_a_further_gateway_has_a_feed_and_an_envoy_of_its_own(
    gateway: Harness, echo: EchoBackend
) -> None:
    port = free_port()
    await gateway.serve(service("svc", echo.port))

    gateway.scheduler.host(a_gateway("ours", port))

    await until(answers(port), "the further gateway to answer")
    assert {each.gateway: each.hosts for each in gateway.scheduler.hellos} == {"gateway": True, "ours": False}
    assert await answers(gateway.port)()
    own = envoy_in(directory_of(gateway, "ours"))
    assert own is not None and own.pid != gateway.envoy_pid()


async def test_a_further_gateway_moves_to_another_port(gateway: Harness, echo: EchoBackend) -> None:
    first, second = free_port(), free_port()
    await gateway.serve(service("svc", echo.port))
    gateway.scheduler.host(a_gateway("ours", first))
    await until(answers(first), "the further gateway to answer")

    gateway.scheduler.host(a_gateway("ours", second))

    await until(answers(second), "it to answer at the other port")
    await until(silent(first), "the first port to be free")


async def test_one_that_is_to_go_to_a_port_that_is_taken_stays_says_so_and_goes_later(
    gateway: Harness, echo: EchoBackend
) -> None:
    first = free_port()
    await gateway.serve(service("svc", echo.port))
    gateway.scheduler.host(a_gateway("ours", first))
    await until(answers(first), "the further gateway to answer")
    before = envoy_in(directory_of(gateway, "ours"))
    with socket.create_server(("127.0.0.1", 0)) as holder:
        second = holder.getsockname()[1]

        gateway.scheduler.host(a_gateway("ours", second))

        why = f"port {second} of 127.0.0.1 is taken by another program; it stays at port {first}"
        await until(lambda: gateway.scheduler.said(why), why)
        assert await answers(first)()
        assert envoy_in(directory_of(gateway, "ours")) == before

    await until(answers(second), "it to answer at the other port")
    await until(silent(first), "the first port to be free")
    await until(
        lambda: "ours" in {h.gateway for h in gateway.scheduler.hellos if h.port == second}, "its hello"
    )


async def test_one_that_gets_another_public_url_keeps_its_envoy(gateway: Harness, echo: EchoBackend) -> None:
    port = free_port()
    await gateway.serve(service("svc", echo.port))
    gateway.scheduler.host(a_gateway("ours", port))
    await until(answers(port), "the further gateway to answer")
    before = envoy_in(directory_of(gateway, "ours"))

    gateway.scheduler.host(
        pb.HostedGateway(name="ours", port=port, workers=1, public_url="http://ours.example.org")
    )

    def told() -> bool:
        return any(each.public_url == "http://ours.example.org" for each in gateway.scheduler.hellos)

    await until(told, "the scheduler to be told")
    assert await answers(port)()
    assert envoy_in(directory_of(gateway, "ours")) == before


async def test_one_that_is_not_asked_for_any_more_ends_and_leaves_nothing(
    gateway: Harness, echo: EchoBackend
) -> None:
    ports = {name: free_port() for name in ("ours", "theirs")}
    await gateway.serve(service("svc", echo.port))
    gateway.scheduler.host(*(a_gateway(name, port) for name, port in ports.items()))
    for port in ports.values():
        await until(answers(port), "the further gateway to answer")
    left = envoy_in(directory_of(gateway, "ours"))
    assert left is not None

    gateway.scheduler.host(a_gateway("theirs", ports["theirs"]))

    await until(lambda: not directory_of(gateway, "ours").exists(), "its directory to be gone")
    assert not process.alive(left)
    assert await answers(ports["theirs"])()


async def test_a_port_that_is_taken_is_said_and_taken_up_when_it_is_free(
    gateway: Harness, echo: EchoBackend
) -> None:
    await gateway.serve(service("svc", echo.port))
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]

        gateway.scheduler.host(a_gateway("ours", port))

        why = f"port {port} of 127.0.0.1 is taken by another program"
        await until(lambda: gateway.scheduler.said(why), why)

    await until(answers(port), "the further gateway to answer")


async def test_one_cannot_share_the_port_of_another(gateway: Harness, echo: EchoBackend) -> None:
    await gateway.serve(service("svc", echo.port))

    gateway.scheduler.host(a_gateway("ours", gateway.port))

    why = f"port {gateway.port} of 127.0.0.1 is taken by another program"
    await until(lambda: gateway.scheduler.said(why), why)
    assert await answers(gateway.port)()


async def test_a_stop_ends_every_envoy_and_a_start_without_scheduler_begins_them_again(
    tmp_path: Path, echo: EchoBackend
) -> None:
    port = free_port()
    async with harness(tmp_path) as gateway:
        await gateway.serve(service("svc", echo.port))
        gateway.scheduler.host(a_gateway("ours", port))
        await until(answers(port), "the further gateway to answer")
        await gateway.scheduler.until_applied(gateway.scheduler.generation)
        await until((directory_of(gateway, "ours") / "routes.snapshot").exists, "its snapshot to be there")
        settings = gateway.settings
    assert silent(port)()

    async with gateway_process(settings):
        await until(answers(port), "the further gateway to answer")
    assert silent(port)()


async def test_a_killed_process_leaves_its_envoys_serving_and_the_next_one_adopts_them(
    tmp_path: Path, echo: EchoBackend
) -> None:
    port, scheduler = free_port(), ScriptedScheduler()
    scheduler.set(service("svc", echo.port))
    scheduler.host(a_gateway("ours", port))
    async with scripted_scheduler(scheduler) as address:
        settings = settings_for(tmp_path, address)
        directory = settings.data_dir / "gateways" / "ours"
        async with gateway_process(settings) as running:
            await until(answers(port), "the further gateway to answer")
            os.kill(running.pid, signal.SIGKILL)
            await running.wait()
        before = envoy_in(directory)
        assert before is not None and await answers(port)()

        async with gateway_process(settings):
            hellos = len(scheduler.hellos)
            await until(lambda: len(scheduler.hellos) >= hellos + 2, "both feeds to be back")
            generation = scheduler.set(service("later", echo.port))
            await scheduler.until_applied(generation)
            await until(answers(port, "later"), "the adopted Envoy to be told of changes")
            after = envoy_in(directory)
        assert after == before
        assert not process.alive(before)
