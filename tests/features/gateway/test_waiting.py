"""Requests to a service at zero wait for an instance: none fails, and none waits without bound."""

import asyncio
import contextlib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import grpc
import httpx
import psutil
import pytest
import websockets
from websockets.asyncio.server import serve

from easel.gateway.v1 import gateway_pb2 as pb
from services.gateway.envoy import process
from services.gateway.runtime import envoy_dial
from services.gateway.xds.bootstrap import bootstrap
from tests.support.echo_calls import echo_calls
from tests.support.free_ports import free_port
from tests.support.gateway_harness import (
    TOKEN,
    EchoBackend,
    Harness,
    ScriptedScheduler,
    bearer,
    echo_backend,
    gateway_process,
    harness,
    scripted_scheduler,
    service,
    settings_for,
    traffic,
)
from tests.support.waiting import until

OPENED = (("authorization", f"Bearer {TOKEN}"),)


def sleeper(name: str, *ports: int, requests: int = 1000, mib: int = 256, s: float = 60, **more: Any) -> Any:
    """A service that may be at zero; it is with no `ports`."""
    hold = pb.Hold(requests=requests, mib=mib, within_ms=int(s * 1000))
    return service(name, *ports, hold=hold, **more)


async def ask(gateway: Harness, path: str = "svc", **more: Any) -> httpx.Response:
    return await gateway.http.post(
        f"{gateway.url}/api/predict/{path}", **({"headers": bearer(), "content": b"x"} | more)
    )


def level(scheduler: ScriptedScheduler, name: str = "svc") -> pb.ServiceWaiting:
    """What the gateway said last of those that wait for a service."""
    said = scheduler.heard.get("waiting", [])
    found = [each for each in said[-1].services if each.service == name] if said else []
    return found[0] if found else pb.ServiceWaiting()


async def waiting(gateway: Harness, count: int, name: str = "svc") -> pb.ServiceWaiting:
    """Waits until so many do."""
    await until(lambda: level(gateway.scheduler, name).requests == count, f"{count} requests to wait")
    return level(gateway.scheduler, name)


async def test_requests_wait_whole_for_an_instance_and_the_scheduler_hears_of_it(
    gateway: Harness, echo: EchoBackend
) -> None:
    await gateway.serve(sleeper("svc", keepalive_ms=300))
    asking = [asyncio.create_task(ask(gateway, f"svc/{number}", content=b"body")) for number in range(3)]
    streaming = asyncio.create_task(ask(gateway, "svc/events/3/1"))
    said = await waiting(gateway, 4)

    stranger = await ask(gateway, headers={})
    # The keepalive bounds what an instance does with a request, and none has it yet.
    await asyncio.wait(asking, timeout=0.4)
    await gateway.serve(sleeper("svc", echo.port, keepalive_ms=300))
    answers = await asyncio.gather(*asking)

    assert stranger.status_code == 401
    assert [answer.status_code for answer in answers] == [200] * 3
    assert [answer.json()["path"] for answer in answers] == ["/0", "/1", "/2"]
    assert {answer.json()["body"] for answer in answers} == {"body"}
    assert (await streaming).text.count("data:") == 3
    assert said.since.seconds > 0
    await until(lambda: level(gateway.scheduler).released == 4, "them to go")
    told = level(gateway.scheduler)
    assert (told.requests, told.refused) == (0, 0)
    assert told.waited_s > 0.3 > told.routing_s


async def test_calls_of_grpc_and_websockets_wait_like_any_request(gateway: Harness) -> None:
    async def echoes(socket: Any) -> None:
        async for message in socket:
            await socket.send(message)

    async def talk() -> str:
        url = f"ws://{gateway.settings.listen}/api/predict/svc/chat"
        async with websockets.connect(url, additional_headers=bearer()) as socket:
            await socket.send("hello")
            return str(await socket.recv())

    options = [("grpc.default_authority", "model.easel.local"), ("grpc.use_local_subchannel_pool", 1)]
    async with (
        echo_calls() as model,
        serve(echoes, "127.0.0.1", 0) as chat,
        grpc.aio.insecure_channel(gateway.settings.listen, options=options) as channel,
    ):
        await gateway.serve(sleeper("svc"), sleeper("model", grpc=True, requests=1))
        talking = asyncio.create_task(talk())
        calling = asyncio.ensure_future(channel.unary_unary("/echo.Echo/Unary")(b"hi", metadata=OPENED))
        await waiting(gateway, 1)
        await waiting(gateway, 1, "model")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await channel.unary_unary("/echo.Echo/Unary")(b"", metadata=OPENED)
        port = next(iter(chat.sockets)).getsockname()[1]
        await gateway.serve(sleeper("svc", port), sleeper("model", model.port, grpc=True, requests=1))

        assert await talking == "hello"
        assert await calling == b"hi"
    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE
    assert str(refused.value.details()).startswith("model has no ready instance, and 1 requests wait for one")


async def test_beyond_a_bound_requests_are_503_with_a_sentence_and_told_when_to_ask_again(
    gateway: Harness, echo: EchoBackend
) -> None:
    await gateway.serve(
        sleeper("svc", requests=2), sleeper("small", mib=1), sleeper("soon", s=0.2), service("never")
    )
    asking = [asyncio.create_task(ask(gateway, path)) for path in ("svc", "svc", "small")]
    await waiting(gateway, 2)
    await waiting(gateway, 1, "small")

    refused = {
        "as many as autoscaler.behavior.onZero.holdRequests allows": await ask(gateway, "svc"),
        "as much as autoscaler.behavior.onZero.holdMebibytes allows": await ask(
            gateway, "small", content=b"x" * 1024 * 1024
        ),
        "no ready instance within 0.2 s": await ask(gateway, "soon"),
    }
    await gateway.serve(sleeper("svc", echo.port), sleeper("small", echo.port))

    for sentence, answer in refused.items():
        assert (answer.status_code, answer.json()["code"]) == (503, 503)
        assert sentence in answer.json()["message"]
        assert answer.headers["retry-after"] == "5"
    assert "retry-after" not in (await ask(gateway, "never")).headers
    assert [answer.status_code for answer in await asyncio.gather(*asking)] == [200] * 3
    await until(lambda: level(gateway.scheduler).refused == 1, "the refusal to be told")
    assert level(gateway.scheduler, "soon").refused == 1


async def test_requests_go_in_the_order_in_which_they_came(gateway: Harness) -> None:
    options = [("grpc.default_authority", "model.easel.local"), ("grpc.use_local_subchannel_pool", 1)]
    numbers = [str(number).encode() for number in range(500)]
    async with echo_calls() as model, grpc.aio.insecure_channel(gateway.settings.listen, options) as channel:
        await gateway.serve(sleeper("model", grpc=True, requests=500))
        await channel.channel_ready()
        call = channel.unary_unary("/echo.Echo/Unary")
        calling = [asyncio.ensure_future(call(each, metadata=OPENED)) for each in numbers]
        await waiting(gateway, 500, "model")

        await gateway.serve(sleeper("model", model.port, grpc=True))

        assert await asyncio.gather(*calling) == numbers
        assert sorted(model.brought) == sorted(numbers)
        # Client and model put one call or another of their own before its turn, also without a gateway.
        turns = [int(each) for each in model.brought]
        assert sum(later < earlier for earlier, later in pairwise(turns)) < 10


async def test_falling_asleep_and_waking_under_load_fails_no_request(
    gateway: Harness, echo: EchoBackend
) -> None:
    await gateway.serve(sleeper("svc", echo.port))
    async with traffic(f"{gateway.url}/api/predict/svc", clients=8) as seen:
        for version in range(1, 8):
            await seen.more(30)
            backends = [pb.Backend(version=version)]
            await gateway.serve(sleeper("svc", backends=backends))
            await until(lambda: level(gateway.scheduler).requests == 8, "all clients to wait")
            endpoint = pb.Endpoint(instance="i", address="127.0.0.1", port=echo.port)
            # The version that wakes need not be the one that fell asleep.
            backends.append(pb.Backend(version=version + 1, endpoints=[endpoint]))
            await gateway.serve(sleeper("svc", backends=backends))
        await seen.more(30)

    assert seen.failures == []


async def test_a_client_that_goes_away_makes_room(gateway: Harness, echo: EchoBackend) -> None:
    await gateway.serve(sleeper("svc", requests=1))
    async with httpx.AsyncClient() as impatient:
        leaving = asyncio.create_task(impatient.get(f"{gateway.url}/api/predict/svc", headers=bearer()))
        await waiting(gateway, 1)
        leaving.cancel()
        await waiting(gateway, 0)
    staying = asyncio.create_task(ask(gateway))
    await waiting(gateway, 1)

    await gateway.serve(sleeper("svc", echo.port))

    assert (await staying).status_code == 200
    assert len(echo.requests) == 1


async def test_a_long_upload_waits_at_its_client_and_not_in_memory(tmp_path: Path, echo: EchoBackend) -> None:
    async with harness(tmp_path, body_limit_bytes=0) as gateway:
        await gateway.serve(sleeper("svc"))
        envoy = psutil.Process(gateway.envoy_pid())
        before = envoy.memory_info().rss
        body = b"x" * 100 * 1024 * 1024
        uploading = asyncio.create_task(ask(gateway, content=body))
        await waiting(gateway, 1)
        sent = await until(lambda: _settled(envoy), "Envoy to take no more")
        held = sent - before
        await gateway.serve(sleeper("svc", echo.port))

        assert (await uploading).status_code == 200
    assert held < 30 * 1024 * 1024


_seen: list[int] = []


def _settled(envoy: psutil.Process) -> int:
    """The memory in use, once it has not grown for ten looks."""
    _seen.append(envoy.memory_info().rss)
    return _seen[-1] if len(_seen) > 10 and _seen[-1] == _seen[-10] else 0


async def test_a_group_waits_for_the_member_that_was_chosen_only_while_no_other_is_ready(
    gateway: Harness, echo: EchoBackend
) -> None:
    members = [pb.GroupMember(service=name, weight=1) for name in ("one", "two")]
    rules = [pb.MemberRule(service="two", header="x-member", value="two")]
    group = pb.GroupRoute(name="both", tokens=[TOKEN], members=members, rules=rules)
    await gateway.serve(sleeper("one", group="both"), sleeper("two", group="both"))
    await gateway.scheduler.until_applied(gateway.scheduler.set_groups(group))
    chosen = asyncio.create_task(ask(gateway, "both", headers=bearer() | {"x-member": "two"}))
    await waiting(gateway, 1, "two")

    await gateway.serve(sleeper("one", echo.port, group="both"))

    assert (await chosen).status_code == 200
    assert (await ask(gateway, "both")).status_code == 200
    assert level(gateway.scheduler, "one").released == 0
    async with traffic(f"{gateway.url}/api/predict/both") as seen:
        async with echo_backend("two") as two:
            await gateway.serve(sleeper("two", two.port, group="both"))
            await until(lambda: len(two.requests) > 10, "the other member to be called")
            await gateway.serve(sleeper("two", group="both"))
        await seen.more(30)
        await gateway.serve(sleeper("one", group="both"))
        await until(lambda: sum(level(gateway.scheduler, each).requests for each in ("one", "two")) == 4)
        await gateway.serve(sleeper("one", echo.port, group="both"))
        await seen.more(30)
    assert seen.failures == []


async def test_what_is_not_held_any_more_is_answered_as_such_at_once(gateway: Harness) -> None:
    await gateway.serve(sleeper("svc"), sleeper("gone"))
    asking = [asyncio.create_task(ask(gateway, path)) for path in ("svc", "gone")]
    await waiting(gateway, 1)
    await waiting(gateway, 1, "gone")

    await gateway.serve(service("svc"))
    await gateway.scheduler.until_applied(gateway.scheduler.remove("gone"))
    stopped, removed = await asyncio.gather(*asking)

    assert stopped.status_code == 503
    # Whichever its Envoy hears of first, the end of the wait or that of the service.
    assert removed.status_code in (404, 503)
    assert stopped.json()["message"].startswith("no healthy upstream")


async def test_when_the_gateway_process_dies_those_that_wait_are_told_to_ask_again(
    tmp_path: Path, echo: EchoBackend
) -> None:
    scheduler, port = ScriptedScheduler(), free_port()
    settings = settings_for(tmp_path, f"127.0.0.1:{port}")
    gateway = Harness(scheduler, settings, httpx.AsyncClient(timeout=20))
    async with scripted_scheduler(scheduler, port), gateway.http:
        async with gateway_process(settings) as first:
            await gateway.serve(sleeper("svc"))
            asking = asyncio.create_task(ask(gateway))
            await waiting(gateway, 1)
            first.kill()
            await first.wait()
            cut = await asking
            away = await ask(gateway)
        scheduler.heard.clear()
        async with gateway_process(settings):
            # What is known of holding is on disk with the rest.
            async def waits_again() -> bool:
                with contextlib.suppress(httpx.TimeoutException):
                    await ask(gateway, timeout=0.2)
                return bool(level(scheduler).requests)

            await until(waits_again, "requests to wait again")
            await gateway.serve(sleeper("svc", echo.port))
            assert (await ask(gateway)).status_code == 200

    for answer in (cut, away):
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "the gateway process, with which requests wait for one, is away" in answer.json()["message"]


async def test_a_gateway_that_ends_tells_those_that_wait(tmp_path: Path) -> None:
    async with harness(tmp_path) as gateway:
        await gateway.serve(sleeper("svc"))
        alone = replace(gateway, http=httpx.AsyncClient(timeout=20))
        asking = asyncio.create_task(ask(alone))
        await waiting(gateway, 1)

    answer = await asking
    await alone.http.aclose()

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["message"] == "the gateway ends before an instance is ready: ask again"


@pytest.mark.parametrize("token", ["join", "wrong"])
async def test_an_envoy_elsewhere_has_requests_wait_if_it_shows_the_join_token(
    tmp_path: Path, echo: EchoBackend, token: str
) -> None:
    more = {"xds_listen": f"127.0.0.1:{free_port()}", "join_token": "join", "envoy": False}
    async with harness(tmp_path / "gateway", **more) as gateway:
        address = gateway.settings.xds_listen
        if token == "wrong":
            async with grpc.aio.insecure_channel(address) as channel:
                check = channel.unary_unary("/envoy.service.auth.v3.Authorization/Check")
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await check(b"", metadata=(("authorization", "Bearer wrong"),))
            assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
            return
        settings = gateway.settings.model_copy(update={"data_dir": tmp_path / "elsewhere"})
        launch = process.Launch(settings.data_dir, bootstrap(envoy_dial(settings, address, token)), 2)
        settings.data_dir.mkdir()
        running = process.start(launch)
        try:
            await gateway.serve(sleeper("svc"))
            asking = [asyncio.create_task(ask(gateway)) for _ in range(20)]
            await waiting(gateway, 20)
            await gateway.serve(sleeper("svc", echo.port))
            assert {answer.status_code for answer in await asyncio.gather(*asking)} == {200}
        finally:
            await process.stop(running, launch)
