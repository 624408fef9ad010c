"""Requests beyond a bound get 429 or 450 with a sentence; the others never notice."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import httpx
import pytest

from easel.gateway.v1 import gateway_pb2 as pb
from tests.support.gateway_harness import (
    TOKEN,
    EchoBackend,
    Harness,
    bearer,
    echo_backend,
    service,
    traffic,
)
from tests.support.traffic_questions import counted, refusals
from tests.support.waiting import until


def limited(name: str, *ports: int, **limits: int) -> pb.ServiceRoute:
    return service(name, *ports, limits=pb.Limits(**limits))


async def ask(gateway: Harness, path: str, **more: Any) -> httpx.Response:
    return await gateway.http.get(f"{gateway.url}/api/predict/{path}", **({"headers": bearer()} | more))


@asynccontextmanager
async def held(gateway: Harness, echo: EchoBackend, count: int, name: str = "svc") -> AsyncIterator[None]:
    """So many requests are in flight while the block runs, and are answered at its end."""
    before = len(echo.requests)
    asking = [asyncio.create_task(ask(gateway, f"{name}/silent")) for _ in range(count)]
    await until(lambda: len(echo.requests) >= before + count, f"{count} requests to arrive")
    try:
        yield
    finally:
        echo.release.set()
        answers = await asyncio.gather(*asking)
        echo.release.clear()
        assert [answer.status_code for answer in answers] == [200] * count


async def test_requests_beyond_the_rate_are_429_and_told_when_to_ask_again(
    gateway: Harness, echo: EchoBackend
) -> None:
    await gateway.serve(limited("svc", echo.port, rate=5))

    answers = [await ask(gateway, "svc") for _ in range(50)]

    refused = [each for each in answers if each.status_code == 429]
    assert {each.status_code for each in answers} == {200, 429}
    assert all(int(each.headers["retry-after"]) >= 1 for each in refused)
    assert refused[0].json() == {
        "code": 429,
        "message": "networking.gateway_policy.rate_limit allows 5 requests a second: ask again after a"
        " second, or raise it",
    }
    assert len(echo.requests) == 50 - len(refused)

    async def let_in() -> bool:
        return (await ask(gateway, "svc")).status_code == 200

    await until(let_in, "the bucket to fill")
    seen = await counted(gateway, "svc", lambda told: told.rate_limited >= len(refused))
    assert seen.status_4xx == seen.rate_limited


async def test_the_rate_of_an_instance_grows_with_the_instances(gateway: Harness, echo: EchoBackend) -> None:
    await gateway.serve(limited("svc", echo.port, rate_per_instance=2))
    one = [await ask(gateway, "svc") for _ in range(30)]

    async with echo_backend() as other:
        await gateway.serve(limited("svc", echo.port, other.port, rate_per_instance=2))
        two = [await ask(gateway, "svc") for _ in range(30)]

    sentences = [
        next(each for each in answers if each.status_code == 429).json()["message"] for answers in (one, two)
    ]
    assert sentences[0].startswith("metadata.rpc.rate_limit allows 2 requests a second, 2 for an instance")
    assert sentences[1].startswith(
        "metadata.rpc.rate_limit allows 4 requests a second, 2 for each of 2 ready"
    )


async def test_all_tokens_of_a_service_draw_from_one_bucket_and_strangers_from_none(
    gateway: Harness, echo: EchoBackend
) -> None:
    more = [f"another-{number}" for number in range(10)]
    await gateway.serve(
        service(
            "svc",
            echo.port,
            limits=pb.Limits(rate=1),
            tokens=[TOKEN, *more],
            token_ids=["service:svc", *(f"id-of-{each}" for each in more)],
        )
    )

    strangers = Counter([(await ask(gateway, "svc", headers={})).status_code for _ in range(20)])
    first = await ask(gateway, "svc")

    assert strangers == {401: 20}
    assert first.status_code == 200

    async def refused_at_its_first_use() -> bool:
        await until(lambda: _is_refused(gateway, TOKEN), "the bucket to be empty")
        return await _is_refused(gateway, more.pop())

    await until(refused_at_its_first_use, "a fresh token to find the bucket empty")


async def _is_refused(gateway: Harness, token: str) -> bool:
    return (await ask(gateway, "svc", headers=bearer(token))).status_code == 429


async def test_inside_a_group_each_member_has_its_own_rate(gateway: Harness, echo: EchoBackend) -> None:
    await gateway.serve(
        limited("tight", echo.port, rate=1, rate_per_instance=0),
        service("wide", echo.port),
    )
    members = [pb.GroupMember(service=name, weight=1) for name in ("tight", "wide")]
    rules = [pb.MemberRule(service=name, header="x-member", value=name) for name in ("tight", "wide")]
    group = pb.GroupRoute(name="both", tokens=[TOKEN], members=members, rules=rules)
    await gateway.scheduler.until_applied(gateway.scheduler.set_groups(group))

    async def statuses(member: str) -> Counter[int]:
        headers = bearer() | {"x-member": member}
        return Counter([(await ask(gateway, "both", headers=headers)).status_code for _ in range(30)])

    tight, wide = await statuses("tight"), await statuses("wide")

    assert tight.keys() == {200, 429}
    assert wide == {200: 30}
    seen = await counted(gateway, "tight", lambda told: told.rate_limited >= tight[429])
    assert seen.rate_limited == tight[429]


async def test_requests_in_flight_beyond_the_concurrency_limit_are_429(
    gateway: Harness, echo: EchoBackend
) -> None:
    await gateway.serve(limited("svc", echo.port, concurrency=3))

    async with held(gateway, echo, 3):
        refused = await ask(gateway, "svc")

    assert refused.status_code == 429
    assert refused.headers["retry-after"] == "1"
    assert refused.json()["message"] == (
        "networking.gateway_policy.concurrency_limit allows 3 requests in flight: ask again when one has"
        " ended, or raise it"
    )
    assert (await ask(gateway, "svc")).status_code == 200
    seen = await counted(gateway, "svc", lambda told: told.overflowed > 0)
    assert (seen.overflowed, seen.status_4xx, seen.status_5xx, seen.rate_limited) == (1, 1, 0, 0)


async def test_requests_in_flight_beyond_the_queues_are_450(gateway: Harness, echo: EchoBackend) -> None:
    await gateway.serve(limited("svc", echo.port, in_flight_per_instance=4, concurrency=100))

    async with held(gateway, echo, 4):
        refused = await ask(gateway, "svc")

    assert refused.status_code == 450
    assert "retry-after" not in refused.headers
    assert refused.json()["message"] == (
        "metadata.rpc.worker_threads and metadata.rpc.max_queue_size allow 4 requests in flight, 4 for an"
        " instance: ask again when one has ended, or add instances"
    )
    assert (await ask(gateway, "svc")).status_code == 200
    assert (await counted(gateway, "svc", lambda told: told.overflowed > 0)).overflowed == 1


async def test_a_grpc_client_beyond_a_bound_gets_resource_exhausted(
    gateway: Harness, echo: EchoBackend
) -> None:
    await gateway.serve(
        limited("rate", echo.port, rate=1),
        limited("concurrency", echo.port, concurrency=1),
        limited("queue", echo.port, in_flight_per_instance=1),
    )

    async def refusal(name: str) -> grpc.aio.AioRpcError:
        options = [("grpc.default_authority", f"{name}.easel.local"), ("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(gateway.settings.listen, options=options) as channel:
            call = channel.unary_unary("/a.B/C")(b"", metadata=(("authorization", f"Bearer {TOKEN}"),))
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await call
        return refused.value

    async def exhausted() -> grpc.aio.AioRpcError | None:
        refused = await refusal("rate")
        return refused if refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED else None

    found = {"rate": await until(exhausted, "the rate to be used up")}
    for name in ("concurrency", "queue"):
        async with held(gateway, echo, 1, name):
            found[name] = await refusal(name)

    assert {each.code() for each in found.values()} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    details = {name: str(each.details()) for name, each in found.items()}
    assert details["rate"].startswith("networking.gateway_policy.rate_limit allows 1 requests a second")
    assert details["concurrency"].startswith("networking.gateway_policy.concurrency_limit allows 1")
    assert details["queue"].startswith("metadata.rpc.worker_threads and metadata.rpc.max_queue_size allow 1")


async def test_limits_change_under_load_without_a_failed_request(gateway: Harness, echo: EchoBackend) -> None:
    await gateway.serve(limited("svc", echo.port, concurrency=1000, rate=1_000_000))

    async with held(gateway, echo, 2), traffic(f"{gateway.url}/api/predict/svc") as seen:
        for number in range(20):
            changed = limited("svc", echo.port, concurrency=500 + number, rate=900_000 + number)
            await gateway.serve(changed)
            await seen.more(20)
        await gateway.serve(service("svc", echo.port))
        await seen.more(50)

    assert seen.failures == []


async def test_a_service_with_bounds_is_scaled_under_load_without_a_failed_request(
    gateway: Harness, echo: EchoBackend
) -> None:
    bounds = {"in_flight_per_instance": 64, "rate_per_instance": 1_000_000}
    await gateway.serve(limited("svc", echo.port, **bounds))

    async with traffic(f"{gateway.url}/api/predict/svc") as seen:
        for _ in range(5):
            async with echo_backend("more") as more:
                await gateway.serve(limited("svc", echo.port, more.port, **bounds))
                await until(lambda at=more: at.requests, "the new instance to be called")
                await gateway.serve(limited("svc", echo.port, **bounds))
                await seen.more(30)

    assert seen.failures == []


async def test_each_refusal_has_a_counter(gateway: Harness, echo: EchoBackend) -> None:
    await gateway.serve(
        limited("svc", echo.port, rate=1, in_flight_per_instance=1),
        service("slow", echo.port, keepalive_ms=100),
        service("none"),
    )

    await ask(gateway, "svc", headers={})
    await ask(gateway, "unknown")
    await ask(gateway, "slow/silent")
    await ask(gateway, "none")
    for _ in range(10):
        await ask(gateway, "svc")
    by_status = await refusals(gateway, "status")

    assert by_status.keys() == {"401", "404", "408", "503", "429"}
    assert (by_status["401"], by_status["404"], by_status["408"], by_status["503"]) == (1, 1, 1, 1)
    assert (await refusals(gateway, "service"))["svc"] == by_status["429"]
    seen = await counted(gateway, "slow", lambda told: told.timed_out > 0)
    assert (seen.timed_out, seen.status_4xx, seen.status_5xx) == (1, 1, 0)


@pytest.mark.parametrize("limits", [{}, {"concurrency": 9}])
async def test_what_a_service_counted_goes_on_when_it_serves_again(
    gateway: Harness, echo: EchoBackend, limits: dict[str, int]
) -> None:
    served = limited("svc", echo.port, **limits)
    await gateway.serve(served)
    for _ in range(5):
        await ask(gateway, "svc")
    await gateway.serve(service("svc", backends=[], limits=pb.Limits(**limits)))
    assert (await ask(gateway, "svc")).status_code == 503

    await gateway.serve(served)
    await ask(gateway, "svc")

    assert (await counted(gateway, "svc", lambda told: told.requests > 5)).status_2xx == 6
