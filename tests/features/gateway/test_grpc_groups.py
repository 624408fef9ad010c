"""gRPC reaches groups and their members by authority, by header, and by weight."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from easel.gateway.v1 import gateway_pb2 as pb
from tests.support.gateway_harness import Harness, service


class Named(grpc.GenericRpcHandler):
    """Answers its name, once to `/n.N/One`, and for each message to `/n.N/Each`."""

    def __init__(self, name: bytes) -> None:
        self._name = name

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        return {
            "/n.N/One": grpc.unary_unary_rpc_method_handler(self.one),
            "/n.N/Each": grpc.stream_stream_rpc_method_handler(self.each),
        }.get(details.method)

    async def one(self, request: bytes, context: Any) -> bytes:
        return self._name

    async def each(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for _ in requests:
            yield self._name


@pytest.fixture
async def models(gateway: Harness) -> AsyncIterator[Harness]:
    """A group `g` of `stable` and `canary`, half and half; header `x-tester` leads to `canary`."""
    servers, ports = [], {}
    for name in ("stable", "canary"):
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((Named(name.encode()),))
        ports[name] = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        servers.append(server)
    await gateway.serve(
        *(service(name, port, grpc=True, group="g", tokens=[f"of-{name}"]) for name, port in ports.items())
    )
    members = [pb.GroupMember(service=name, weight=1) for name in ports]
    rule = pb.MemberRule(service="canary", header="x-tester")
    await gateway.scheduler.until_applied(
        gateway.scheduler.set_groups(pb.GroupRoute(name="g", tokens=["of-g"], members=members, rules=[rule]))
    )
    yield gateway
    for server in servers:
        await server.stop(0)


def channel(models: Harness, authority: str) -> grpc.aio.Channel:
    return grpc.aio.insecure_channel(
        models.settings.listen,
        options=[("grpc.default_authority", authority), ("grpc.use_local_subchannel_pool", 1)],
    )


def metadata(token: str = "of-g", **more: str) -> tuple[tuple[str, str], ...]:
    named = {name.replace("_", "-"): value for name, value in more.items()}
    return (("authorization", f"Bearer {token}"), *named.items())


async def test_calls_and_streams_are_spread_over_the_members_of_a_group(models: Harness) -> None:
    async def messages() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x"

    unary, streams = set(), set()
    async with channel(models, "g.easel.local") as dialled:
        for _ in range(30):
            unary.add(await dialled.unary_unary("/n.N/One")(b"", metadata=metadata()))
            call = dialled.stream_stream("/n.N/Each")(messages(), metadata=metadata())
            streams.add(tuple([each async for each in call]))

    assert unary == {b"stable", b"canary"}
    assert streams == {(b"stable",) * 3, (b"canary",) * 3}


@pytest.mark.parametrize(
    ("authority", "more"),
    [
        ("g.canary.easel.local", {}),
        ("g.easel.local", {"x_tester": "1"}),
        ("anything", {"x_easel_service": "g.canary"}),
        ("anything", {"x_easel_service": "g", "x_tester": "1"}),
    ],
)
async def test_one_member_is_called_by_its_name_or_by_a_rule(
    models: Harness, authority: str, more: dict[str, str]
) -> None:
    async with channel(models, authority) as dialled:
        call = dialled.unary_unary("/n.N/One")
        seen = {await call(b"", metadata=metadata(**more)) for _ in range(5)}

    assert seen == {b"canary"}


async def test_a_group_refuses_with_statuses_and_sentences_of_grpc(models: Harness) -> None:
    async def refusal(token: str) -> Any:
        async with channel(models, "g.easel.local") as dialled:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await dialled.unary_unary("/n.N/One")(b"", metadata=metadata(token))
        return refused.value

    closed = await refusal("of-stable")
    await models.serve(*(service(name, grpc=True, group="g") for name in ("stable", "canary")))
    nobody = await refusal("of-g")

    assert closed.code() is grpc.StatusCode.UNAUTHENTICATED
    assert nobody.code() is grpc.StatusCode.UNAVAILABLE
    assert "no member that takes requests of this group" in nobody.details()
