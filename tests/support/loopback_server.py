"""A gRPC server of a fake, on loopback."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import grpc


@asynccontextmanager
async def served(register: Callable[[grpc.aio.Server], None], port: int = 0) -> AsyncIterator[int]:
    """Serves on that port, or on a free one, and is gone at the end as if it were killed."""
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    register(server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    try:
        yield bound
    finally:
        await server.stop(0)
