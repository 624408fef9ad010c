"""How calls that cannot be answered end on the wire."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from libs.domain import errors
from libs.rpc.client import dial
from libs.rpc.errors import STATUS, easel_error
from libs.rpc.interceptors import Refusals
from libs.rpc.server import Service, serving


class OfASubclass(errors.Conflict):
    """Not in the table itself."""


async def ending(raised: Exception, *, stream: bool) -> grpc.aio.AioRpcError:
    """How a call ends whose servicer raises this."""

    async def answer(_request: bytes, _context: Any) -> bytes:
        raise raised

    async def answers(_request: bytes, _context: Any) -> AsyncIterator[bytes]:
        yield b"one"
        raise raised

    def register(server: Any) -> None:
        handlers = {
            "One": grpc.unary_unary_rpc_method_handler(answer),
            "Many": grpc.unary_stream_rpc_method_handler(answers),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Broken", handlers),))

    serve = serving([Service("test.Broken", register)], "127.0.0.1:0", interceptors=[Refusals()])
    async with serve as port, dial(f"127.0.0.1:{port}", "") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            if stream:
                async for _ in channel.unary_stream("/test.Broken/Many")(b"", timeout=10):
                    pass
            else:
                await channel.unary_unary("/test.Broken/One")(b"", timeout=10)
    return caught.value


@pytest.mark.parametrize("stream", [False, True], ids=["unary", "stream"])
async def test_a_bug_is_one_sentence_to_the_caller_and_whole_in_the_log(
    stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    end = await ending(KeyError("a secret"), stream=stream)

    assert end.code() is grpc.StatusCode.INTERNAL
    assert str(end.details()).endswith("broke; the server's log says how")
    assert [record.exc_info is not None for record in caplog.records if record.message == "a call broke"] == [
        True
    ]


async def test_a_refusal_longer_than_a_header_can_carry_still_arrives() -> None:
    end = await ending(errors.InvalidRequest("spec", "\u00e4" * 100_000, "something " * 1000), stream=False)

    assert end.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert isinstance(easel_error(end), errors.InvalidRequest)


async def test_a_refusal_of_a_kind_of_its_own_counts_as_the_kind_it_derives_from() -> None:
    end = await ending(OfASubclass("moved on"), stream=False)

    assert end.code() is grpc.StatusCode.ABORTED
    assert str(easel_error(end)) == "moved on"


def test_every_refusal_has_a_status_code() -> None:
    kinds = {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.EaselError) and kind is not errors.EaselError
    }

    assert kinds == set(STATUS)
