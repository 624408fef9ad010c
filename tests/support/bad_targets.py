"""Servers that a mirror's target may be: they answer, hang, read nothing, or are not there."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.support.free_ports import free_port


@asynccontextmanager
async def never_reading() -> AsyncIterator[int]:
    """Accepts connections and takes nothing from them; yields its port."""
    listening = socket.socket()
    # Small, so that what a client sends stays with the client.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    listening.bind(("127.0.0.1", 0))
    listening.listen(100)
    try:
        yield listening.getsockname()[1]
    finally:
        listening.close()


@asynccontextmanager
async def never_answering() -> AsyncIterator[int]:
    """Reads all it is sent and says nothing; yields its port."""

    async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            pass
        writer.close()

    server = await asyncio.start_server(read, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@asynccontextmanager
async def dead() -> AsyncIterator[int]:
    """Yields a port at which nobody listens."""
    yield free_port()
