"""What Prometheus and load balancers ask over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from libs.domain.errors import Unavailable
from libs.rpc.addresses import host_and_port
from services.metrics.envoy_stream import EnvoyStreams
from services.metrics.exposed_nodes import nodes
from services.metrics.exposed_parts import parts
from services.metrics.exposed_services import durations, services
from services.metrics.exposition import CONTENT_TYPE, exposition
from services.metrics.store import Store

# An answer is tens of megabytes where there are thousands of instances, and is held until it is read.
MOST_AT_ONCE = 8
READ_WITHIN_S = 30.0
_IDLE_S = 60.0


class Exposed:
    """`/metrics` and `/-/healthy`."""

    def __init__(self, store: Store, envoys: EnvoyStreams, read_within_s: float = READ_WITHIN_S) -> None:
        self._store, self._envoys, self._read_within_s = store, envoys, read_within_s
        self._answering = 0

    def application(self) -> web.Application:
        """Its paths."""
        application = web.Application()
        application.add_routes(
            [web.get("/metrics", self.metrics), web.get("/-/healthy", self.healthy)],
        )
        return application

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """Every number, in OpenMetrics. Whoever reads it too slowly is cut off: readers take memory."""
        if self._answering >= MOST_AT_ONCE:
            why = f"{MOST_AT_ONCE} answers are being read already: ask again\n"
            return web.Response(status=503, text=why, headers={"Retry-After": "5"})
        self._answering += 1
        try:
            return await self._answer(request)
        finally:
            self._answering -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        store = self._store
        # What parts say of what is known here better is not said twice.
        families = {**parts(store), **services(store, self._envoys), **nodes(store)}
        text = await exposition(families, durations(store.published))
        response = web.StreamResponse(headers={"Content-Type": CONTENT_TYPE})
        response.content_length = len(text)
        try:
            async with asyncio.timeout(self._read_within_s):
                await response.prepare(request)
                if request.method != "HEAD":
                    await response.write(text)
                await response.write_eof()
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
        except ConnectionError:
            # Who asked has gone meanwhile, as Prometheus does when its time is up.
            pass
        return response

    async def healthy(self, request: web.Request) -> web.Response:
        """That the process answers."""
        return web.Response(text="healthy\n")


@asynccontextmanager
async def serving_http(store: Store, envoys: EnvoyStreams, listen: str) -> AsyncIterator[None]:
    """Serves at "host:port" inside the block; nothing where `listen` is empty. Raises Unavailable."""
    if not listen:
        yield
        return
    # No body is read, so none is unpacked either, which may take seconds.
    runner = web.AppRunner(
        Exposed(store, envoys).application(),
        access_log=None,
        keepalive_timeout=_IDLE_S,
        auto_decompress=False,
    )
    await runner.setup()
    try:
        host, port = host_and_port(listen, "http_listen")
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as refused:
            raise Unavailable(f"cannot listen on {listen}: {refused.strerror or refused}") from refused
        yield
    finally:
        await runner.cleanup()
