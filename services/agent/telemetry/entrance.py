"""The HTTP server that programs post their metrics to."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from aiohttp import web

from services.agent.telemetry.posted import Posted, Refused, values_of
from services.agent.workload import Workload

_READ_WITHIN = 5.0
_MOST_CONNECTIONS = 256

# Who posts by this request: the instance, or the refusal to answer with.
Identify: TypeAlias = Callable[[web.BaseRequest], Awaitable[str]]


class NotTaken(Exception):
    """A request that is answered with a status and a sentence."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class Desk:
    """Takes what is posted by instances that are known, and answers each post with a sentence or a count."""

    def __init__(self, workload: Callable[[str], Workload | None], posted: Posted) -> None:
        self._workload, self._posted = workload, posted

    def inlet(self, identify: Identify) -> Callable[[], asyncio.Protocol]:
        """What makes the protocol of each connection of one listening socket.

        Where there are too many, the oldest that asks nothing makes room: no program shuts others out.
        """
        busy: set[web.RequestHandler] = set()

        async def answer(request: web.BaseRequest) -> web.Response:
            busy.add(request.protocol)
            try:
                return web.json_response({"accepted": await self._take(request, identify)})
            except NotTaken as refused:
                return web.json_response({"error": str(refused)}, status=refused.status)
            finally:
                busy.discard(request.protocol)

        # What is unpacked here would keep the agent from all else: a bomb of 1 MiB takes seconds.
        server = web.Server(answer, access_log=None, keepalive_timeout=30.0, auto_decompress=False)

        def accept() -> asyncio.Protocol:
            # What was told to close, and is not gone yet, has no transport.
            there = [each for each in server.connections if each.transport is not None]
            if len(there) < _MOST_CONNECTIONS:
                return server()
            idle = next((each for each in there if each not in busy), None)
            if idle is None:
                return _Closed()
            idle.force_close()
            return server()

        return accept

    async def _take(self, request: web.BaseRequest, identify: Identify) -> int:
        """How many values were taken. Raises NotTaken."""
        instance = await identify(request)
        if request.method != "POST":
            raise NotTaken(405, f"got {request.method}, expected POST")
        packed = request.headers.get("Content-Encoding", "identity")
        if packed != "identity":
            raise NotTaken(415, f"got Content-Encoding {packed[:60]}, expected a body that is not compressed")
        try:
            async with asyncio.timeout(_READ_WITHIN):
                body = await request.read()
        except TimeoutError:
            raise NotTaken(408, f"the body did not come within {_READ_WITHIN:g} s") from None
        except web.HTTPRequestEntityTooLarge:
            raise NotTaken(413, "the body is larger than 1 MiB") from None
        workload = self._workload(instance)
        if workload is None:
            raise NotTaken(503, f"instance {instance} is not known here now; try again later")
        try:
            values = values_of(body, workload.metrics)
            self._posted.take(instance, values)
        except Refused as refused:
            raise NotTaken(400, str(refused)) from refused
        return len(values)


class _Closed(asyncio.Protocol):
    """A connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()
