"""Deadlines, retries and statuses of gRPC calls are those of gRPC."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from tests.support.echo_calls import EchoCalls, echo_calls
from tests.support.free_ports import free_port
from tests.support.gateway_harness import TOKEN, Harness, service
from tests.support.traffic_questions import counted

OPENED = (("authorization", f"Bearer {TOKEN}"),)


@pytest.fixture
async def model(gateway: Harness) -> AsyncIterator[EchoCalls]:
    async with echo_calls() as echo:
        await gateway.serve(service("model", echo.port, grpc=True, keepalive_ms=200))
        yield echo


def dialled(gateway: Harness, authority: str = "model.easel.local") -> grpc.aio.Channel:
    options = [
        ("grpc.default_authority", authority),
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_retries", 0),
    ]
    return grpc.aio.insecure_channel(gateway.settings.listen, options=options)


async def outcome(gateway: Harness, method: str, **more: Any) -> grpc.StatusCode:
    async with dialled(gateway) as channel:
        call = channel.unary_unary(f"/echo.Echo/{method}")(b"", **({"metadata": OPENED} | more))
        try:
            await call
        except grpc.aio.AioRpcError as refused:
            return refused.code()
    return grpc.StatusCode.OK


async def test_the_instance_is_told_the_deadline_of_a_call(gateway: Harness, model: EchoCalls) -> None:
    assert await outcome(gateway, "Unary", timeout=30) is grpc.StatusCode.OK
    assert await outcome(gateway, "Unary") is grpc.StatusCode.OK

    told, none = model.left
    # Clients round what is left up on its way.
    assert told is not None and 0 < told <= 31
    assert none is None or none > 3600


async def test_the_gateway_ends_a_call_at_its_deadline_and_counts_it(
    gateway: Harness, model: EchoCalls
) -> None:
    metadata = (*OPENED, ("grpc-timeout", "300m"))

    assert await outcome(gateway, "Silent", metadata=metadata) is grpc.StatusCode.DEADLINE_EXCEEDED

    assert model.asked == ["Silent"]
    seen = await counted(gateway, "model", lambda told: told.grpc_failed > 0)
    assert (seen.grpc_ok, seen.grpc_failed) == (0, 1)


async def test_a_call_that_an_instance_refused_is_not_made_again(gateway: Harness, model: EchoCalls) -> None:
    assert await outcome(gateway, "Fails") is grpc.StatusCode.UNAVAILABLE

    assert model.asked == ["Fails"]


async def test_a_call_that_no_instance_can_have_seen_goes_to_another(
    gateway: Harness, model: EchoCalls
) -> None:
    await gateway.serve(service("model", model.port, free_port(), grpc=True))

    found = [await outcome(gateway, "Unary") for _ in range(20)]

    assert found == [grpc.StatusCode.OK] * 20
    assert model.asked == ["Unary"] * 20


async def test_calls_are_counted_by_how_they_ended(gateway: Harness, model: EchoCalls) -> None:
    for method in ("Unary", "Unary", "Missing", "Fails"):
        await outcome(gateway, method)

    seen = await counted(gateway, "model", lambda told: told.grpc_ok + told.grpc_failed >= 4)

    assert (seen.grpc_ok, seen.grpc_failed) == (2, 2)
    assert (seen.requests, seen.status_2xx, seen.status_5xx) == (4, 4, 0)
