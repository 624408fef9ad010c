"""What Prometheus and load balancers ask over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from libs.domain.errors import Unavailable
from services.metrics.envoy_stream import EnvoyStreams
from services.metrics.exposed_nodes import nodes
from services.metrics.exposed_parts import parts
from services.metrics.exposed_services import durations, services
from services.metrics.exposition import CONTENT_TYPE, exposition
from services.metrics.settings import host_and_port
from services.metrics.store import Store


class Exposed:
    """`/metrics` and `/-/healthy`."""

    def __init__(self, store: Store, envoys: EnvoyStreams) -> None:
        self._store, self._envoys = store, envoys

    def application(self) -> web.Application:
        """Its paths."""
        application = web.Application()
        application.add_routes(
            [web.get("/metrics", self.metrics), web.get("/-/healthy", self.healthy)],
        )
        return application

    async def metrics(self, request: web.Request) -> web.Response:
        """Every number, in OpenMetrics."""
        store = self._store
        # What parts say of what is known here better is not said twice.
        families = {**parts(store), **services(store, self._envoys), **nodes(store)}
        text = await exposition(families, durations(store.published))
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})

    async def healthy(self, request: web.Request) -> web.Response:
        """That the process answers."""
        return web.Response(text="healthy\n")


@asynccontextmanager
async def serving_http(store: Store, envoys: EnvoyStreams, listen: str) -> AsyncIterator[None]:
    """Serves at "host:port" inside the block; nothing where `listen` is empty. Raises Unavailable."""
    if not listen:
        yield
        return
    runner = web.AppRunner(Exposed(store, envoys).application(), access_log=None)
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
