"""A gRPC server that echoes, for the four shapes of a call, and what it was asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc


class EchoCalls(grpc.GenericRpcHandler):
    """`/echo.Echo/{Shape}`, on plain bytes. `Fails` answers UNAVAILABLE, `Silent` never answers."""

    def __init__(self) -> None:
        self.port = 0
        self.asked: list[str] = []
        # What unary calls brought, in the order in which they came.
        self.brought: list[bytes] = []
        # What was left of a call's deadline when it arrived, in seconds.
        self.left: list[float | None] = []

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        return {
            "/echo.Echo/Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "/echo.Echo/Down": grpc.unary_stream_rpc_method_handler(self.down),
            "/echo.Echo/Up": grpc.stream_unary_rpc_method_handler(self.up),
            "/echo.Echo/Both": grpc.stream_stream_rpc_method_handler(self.both),
            "/echo.Echo/Missing": grpc.unary_unary_rpc_method_handler(self.missing),
            "/echo.Echo/Fails": grpc.unary_unary_rpc_method_handler(self.fails),
            "/echo.Echo/Silent": grpc.unary_unary_rpc_method_handler(self.silent),
        }.get(details.method)

    async def unary(self, request: bytes, context: Any) -> bytes:
        self.asked.append("Unary")
        self.brought.append(request)
        self.left.append(context.time_remaining())
        context.set_trailing_metadata((("x-trailer", "seen"),))
        return request

    async def down(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        for _ in range(3):
            yield request

    async def up(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        return b"".join([each async for each in requests])

    async def both(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for each in requests:
            yield each

    async def missing(self, request: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.NOT_FOUND, "no such model")
        return b""

    async def fails(self, request: bytes, context: Any) -> bytes:
        self.asked.append("Fails")
        await context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
        return b""

    async def silent(self, request: bytes, context: Any) -> bytes:
        self.asked.append("Silent")
        await asyncio.Event().wait()
        return b""


@asynccontextmanager
async def echo_calls() -> AsyncIterator[EchoCalls]:
    """Serves it on a free port."""
    echo, server = EchoCalls(), grpc.aio.server()
    server.add_generic_rpc_handlers((echo,))
    echo.port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield echo
    finally:
        await server.stop(0)
