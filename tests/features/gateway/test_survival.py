"""What keeps serving when a part is killed, away or wrong."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx

from easel.gateway.v1 import gateway_pb2 as pb
from services.gateway.envoy import process
from services.gateway.runtime import run
from services.gateway.settings import Settings
from services.gateway.snapshot import load
from tests.support.free_ports import free_port
from tests.support.gateway_harness import (
    EchoBackend,
    Harness,
    ScriptedScheduler,
    bearer,
    echo_backend,
    gateway_process,
    scripted_scheduler,
    service,
    settings_for,
    traffic,
)
from tests.support.waiting import until


@asynccontextmanager
async def envoy_is_ended(settings: Settings) -> AsyncIterator[None]:
    """Ends the Envoy that a killed gateway left behind."""
    try:
        yield
    finally:
        launch = process.Launch(settings.data_dir, "", 1)
        if running := process.recorded(launch):
            await process.stop(running, launch)


async def answers(settings: Settings, name: str = "svc") -> bool:
    async with httpx.AsyncClient(timeout=5) as http:
        with contextlib.suppress(httpx.HTTPError):
            url = f"http://{settings.listen}/api/predict/{name}"
            return (await http.get(url, headers=bearer())).status_code == 200
    return False


def running_envoy(settings: Settings) -> process.Running:
    running = process.recorded(process.Launch(settings.data_dir, "", 1))
    assert running is not None
    return running


async def test_killing_the_gateway_and_the_scheduler_fails_no_request_and_restarts_no_envoy(
    tmp_path: Path, echo: EchoBackend
) -> None:
    scheduler, port = ScriptedScheduler(), free_port()
    settings = settings_for(tmp_path, f"127.0.0.1:{port}")
    async with envoy_is_ended(settings), contextlib.AsyncExitStack() as later:
        async with gateway_process(settings) as first:
            async with scripted_scheduler(scheduler, port):
                await scheduler.until_applied(scheduler.set(service("svc", echo.port)))
                seen = await later.enter_async_context(traffic(f"http://{settings.listen}/api/predict/svc"))
                await seen.more()
            left = running_envoy(settings)
            first.send_signal(signal.SIGKILL)
            await first.wait()
            await seen.more()
        async with gateway_process(settings) as second, echo_backend("new") as new:
            await seen.more()
            async with scripted_scheduler(scheduler, port):
                await until(lambda: scheduler.hellos[1:], "the gateway to come back")
                await scheduler.until_applied(scheduler.set(service("svc", new.port)))
                await until(lambda: new.requests, "the new instance to be called")
                await seen.more()
            assert running_envoy(settings) == left
            assert scheduler.hellos[-1].generation == 1
            assert seen.failures == []
            await later.aclose()
            second.terminate()
            await second.wait()
    assert process.recorded(process.Launch(settings.data_dir, "", 1)) is None
    assert not process.alive(left)


async def test_a_gateway_whose_scheduler_is_away_serves_from_its_snapshot(
    tmp_path: Path, echo: EchoBackend
) -> None:
    scheduler, port = ScriptedScheduler(), free_port()
    settings = settings_for(tmp_path, f"127.0.0.1:{port}")
    async with scripted_scheduler(scheduler, port), gateway_process(settings):
        await scheduler.until_applied(scheduler.set(service("svc", echo.port)))

    async with gateway_process(settings):
        await until(lambda: answers(settings), "the service to answer")

    assert (settings.data_dir / "routes.snapshot").stat().st_mode & 0o777 == 0o600


async def test_an_envoy_whose_gateway_was_killed_before_it_wrote_it_down_is_found(
    tmp_path: Path, echo: EchoBackend
) -> None:
    scheduler, port = ScriptedScheduler(), free_port()
    settings = settings_for(tmp_path, f"127.0.0.1:{port}")
    async with envoy_is_ended(settings), scripted_scheduler(scheduler, port):
        async with gateway_process(settings) as first:
            await scheduler.until_applied(scheduler.set(service("svc", echo.port)))
            left = running_envoy(settings)
            first.send_signal(signal.SIGKILL)
            await first.wait()
        (settings.data_dir / "envoy.pid").unlink()

        async with gateway_process(settings):
            await until(lambda: scheduler.hellos[1:], "the gateway to come back")
            await until(lambda: process.recorded(process.Launch(settings.data_dir, "", 1)), "an Envoy")
            assert running_envoy(settings) == left


async def test_a_gateway_that_is_stopped_while_it_starts_ends_the_envoy_that_it_found(
    tmp_path: Path, echo: EchoBackend
) -> None:
    scheduler, port, stop = ScriptedScheduler(), free_port(), asyncio.Event()
    settings = settings_for(tmp_path, f"127.0.0.1:{port}")
    async with envoy_is_ended(settings), scripted_scheduler(scheduler, port):
        async with gateway_process(settings) as first:
            await scheduler.until_applied(scheduler.set(service("svc", echo.port)))
            first.send_signal(signal.SIGKILL)
            await first.wait()
        left = running_envoy(settings)
        stop.set()

        await run(settings, stop)

        assert not process.alive(left)


async def test_an_envoy_that_dies_is_started_again(gateway: Harness, echo: EchoBackend) -> None:
    await gateway.serve(service("svc", echo.port))
    pid = gateway.envoy_pid()

    os.kill(pid, signal.SIGKILL)

    await until(lambda: gateway.envoy_pid() != pid, "another Envoy")
    await until(lambda: answers(gateway.settings), "the service to answer again")


async def test_what_envoy_refuses_is_told_and_everything_else_stays_and_moves_on(
    gateway: Harness, echo: EchoBackend
) -> None:
    await gateway.serve(service("good", echo.port), service("bad", echo.port))
    wrong = pb.Endpoint(instance="i-1", address="not an address", port=80)
    bad = service("bad", backends=[pb.Backend(version=1, endpoints=[wrong])])

    async with echo_backend("new") as new:
        await gateway.serve(bad, service("good", new.port), service("other", new.port))

        refused = (await until(lambda: gateway.scheduler.refused, "a refusal"))[0]
        assert list(refused.resources) == ["bad/1"]
        assert "not an address" in refused.message
        assert refused.generation == gateway.scheduler.generation
        for name, backend in (("good", "new"), ("other", "new"), ("bad", "echo")):
            answer = await gateway.http.get(f"{gateway.url}/api/predict/{name}", headers=bearer())
            assert answer.json()["backend"] == backend

    await gateway.serve(service("bad", echo.port), service("good", echo.port))
    assert await answers(gateway.settings, "bad")


async def test_a_service_refused_from_its_first_day_holds_up_no_acknowledgement(
    gateway: Harness, echo: EchoBackend
) -> None:
    wrong = pb.Endpoint(instance="i-1", address="not an address", port=80)
    await gateway.serve(service("bad", backends=[pb.Backend(version=1, endpoints=[wrong])]))
    await gateway.serve(service("good", echo.port))

    await gateway.serve(service("bad", echo.port))

    await until(lambda: answers(gateway.settings, "bad"), "the mended service to answer")


async def test_without_an_envoy_nothing_is_said_to_be_applied(tmp_path: Path) -> None:
    scheduler = ScriptedScheduler()
    async with scripted_scheduler(scheduler) as address:
        settings = settings_for(tmp_path, address, envoy=False)
        async with gateway_process(settings):
            scheduler.set(service("svc", 1))
            await until((tmp_path / "routes.snapshot").exists, "the snapshot")
            generation = scheduler.set(service("svc", 2))
            snapshot = tmp_path / "routes.snapshot"
            await until(lambda: getattr(load(snapshot), "generation", 0) == generation, "the next snapshot")

    assert scheduler.applied == []


async def test_a_feed_that_comes_back_without_a_service_removes_it(tmp_path: Path, echo: EchoBackend) -> None:
    first, port = ScriptedScheduler(), free_port()
    settings = settings_for(tmp_path, f"127.0.0.1:{port}")
    async with gateway_process(settings):
        async with scripted_scheduler(first, port):
            await first.until_applied(first.set(service("stays", echo.port), service("goes", echo.port)))
        second = ScriptedScheduler()
        second.set(service("stays", echo.port))
        async with (
            scripted_scheduler(second, port),
            traffic(f"http://{settings.listen}/api/predict/stays") as seen,
        ):
            await second.until_applied(1)
            await seen.more(10)

            assert not await answers(settings, "goes")
    assert seen.failures == []


async def test_a_gateway_that_stops_takes_no_new_connection_and_finishes_what_it_has(
    tmp_path: Path, echo: EchoBackend
) -> None:
    scheduler, stop = ScriptedScheduler(), asyncio.Event()
    scheduler.set(service("svc", echo.port, keepalive_ms=0))
    async with scripted_scheduler(scheduler) as address, httpx.AsyncClient(timeout=20) as http:
        settings = settings_for(tmp_path, address, drain_for=timedelta(seconds=15))
        ready = asyncio.Event()
        running = asyncio.create_task(run(settings, stop, ready))
        await until(ready.is_set, "the gateway to take requests")
        url = f"http://{settings.listen}/api/predict/svc/silent"
        asking = asyncio.create_task(http.get(url, headers=bearer()))
        await until(lambda: echo.requests, "the request to be under way")
        host, _, port = settings.listen.rpartition(":")

        stop.set()

        async def refused() -> bool:
            try:
                _, writer = await asyncio.open_connection(host, int(port))
            except ConnectionError:
                return True
            writer.close()
            return False

        await until(refused, "new connections to be refused")
        assert not asking.done()
        echo.release.set()
        assert (await asking).status_code == 200
        await asyncio.wait_for(running, 20)
