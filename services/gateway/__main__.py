"""The gateway: Envoy's management server, fed by the scheduler, and the keeper of a local Envoy."""

import argparse
import asyncio
import hmac
import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial

from envoy.service.discovery.v3 import ads_pb2_grpc

from libs.domain.states import TokenRole
from libs.lifecycle import pause, stop_requested
from libs.rpc.client import dial
from libs.rpc.interceptors import BearerTokens
from libs.rpc.server import Service, serving
from libs.telemetry.logs import configure
from services.gateway.ads.servicer import ADS_SERVICE, AdsServicer
from services.gateway.ads.store import ResourceStore
from services.gateway.envoy.admin import EnvoyAdmin
from services.gateway.envoy.process import Launch
from services.gateway.envoy.supervisor import EnvoySupervisor
from services.gateway.feed import Feed, Identity
from services.gateway.publisher import Publisher, Surroundings, unchanging
from services.gateway.routes import EdgeSettings
from services.gateway.settings import Settings, host_and_port
from services.gateway.snapshot import Snapshots, load
from services.gateway.sockets import socket_address
from services.gateway.xds.bootstrap import Dial, bootstrap
from services.gateway.xds.listener import Edge, listener

log = logging.getLogger(__name__)


async def run(settings: Settings, stop: asyncio.Event, ready: asyncio.Event | None = None) -> None:
    """Serves until `stop`; sets `ready` when clients can connect (without an own Envoy: when Envoys can)."""
    data_dir = settings.data_dir.resolve()
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    token = settings.token()
    publisher = Publisher(ResourceStore(), surroundings_of(settings))
    snapshot = data_dir / "routes.snapshot"
    known = await asyncio.to_thread(load, snapshot)
    if known is not None:
        await publisher.publish(known)
        publisher.was_saved(publisher.sequence)
        log.info("starting from the snapshot", extra={"services": len(publisher.services)})
    async with AsyncExitStack() as owned:
        xds = await owned.enter_async_context(serving_envoys(settings, publisher, token))
        channel = await owned.enter_async_context(dial(settings.scheduler, token))
        identity = Identity(settings.name, settings.public_url or f"http://{settings.listen}")
        async with asyncio.TaskGroup() as loops:
            loops.create_task(Snapshots(publisher, snapshot).run(until=stop))
            loops.create_task(Feed(channel, identity, publisher).run(until=stop))
            if settings.envoy:
                loops.create_task(_own_envoy(settings, envoy_dial(settings, xds, token), stop, ready))
            elif ready is not None:
                ready.set()
            await stop.wait()


def main() -> None:
    """Runs one gateway until SIGTERM or SIGINT, or prints what an Envoy elsewhere is started with."""
    options = argparse.ArgumentParser(prog="services.gateway", description=__doc__)
    options.add_argument(
        "--bootstrap",
        metavar="HOST:PORT",
        help="print the bootstrap of an Envoy that dials the gateway there",
    )
    where = options.parse_args().bootstrap
    if where:
        settings = Settings()
        sys.stdout.write(bootstrap(envoy_dial(settings, where, settings.token())))
        return
    configure()
    asyncio.run(_standalone())


def envoy_dial(settings: Settings, xds: str, token: str) -> Dial:
    """What an Envoy of this gateway is started with; `xds` is where it finds the gateway."""
    admin = settings.envoy_admin or socket_address(settings.data_dir, "admin.sock")
    secret = "" if xds.startswith("unix:") else token
    return Dial(f"{settings.name}-envoy", xds, admin, secret, settings.otlp_endpoint)


def edge_of(settings: Settings) -> Edge:
    host, port = host_and_port(settings.listen, "listen")
    log_file = str(settings.access_log.resolve()) if settings.access_log else ""
    return Edge(host, port, settings.domain, bool(settings.otlp_endpoint), log_file)


def surroundings_of(settings: Settings) -> Callable[[EdgeSettings], Surroundings]:
    """What this gateway's listeners and domains are, for what an operator set."""
    return unchanging([listener(edge_of(settings))], settings.domains())


@asynccontextmanager
async def serving_envoys(settings: Settings, publisher: Publisher, token: str) -> AsyncIterator[str]:
    """Yields where an Envoy on this machine finds the gateway. Over TCP an Envoy shows the join token."""
    listen = settings.xds_listen or socket_address(settings.data_dir, "xds.sock")
    register = partial(
        ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server, AdsServicer(publisher.envoys)
    )
    local = listen.startswith("unix:")

    def role_of(secret: str) -> TokenRole | None:
        return TokenRole.JOIN if token and hmac.compare_digest(secret.encode(), token.encode()) else None

    guards = [] if local else [BearerTokens(role_of, {ADS_SERVICE: TokenRole.JOIN})]
    services = [Service(ADS_SERVICE, register)]
    async with serving(services, listen, drain_for=timedelta(0), interceptors=guards) as port:
        host = "127.0.0.1" if local else host_and_port(listen, "xds_listen")[0]
        yield listen if local else f"{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"


async def _own_envoy(
    settings: Settings, dial: Dial, stop: asyncio.Event, ready: asyncio.Event | None
) -> None:
    launch = Launch(settings.data_dir.resolve(), bootstrap(dial), settings.envoy_concurrency)
    admin = EnvoyAdmin(dial.admin)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(EnvoySupervisor(launch, admin, settings.drain_for).run(until=stop))
        tasks.create_task(_until_listening(admin, stop, ready))


async def _until_listening(admin: EnvoyAdmin, stop: asyncio.Event, ready: asyncio.Event | None) -> None:
    while not stop.is_set():
        address = await admin.listening()
        if address is not None:
            log.info("taking requests", extra={"address": address})
            if ready is not None:
                ready.set()
            return
        await pause(stop, timedelta(milliseconds=50))


async def _standalone() -> None:
    await run(Settings(), stop_requested())


if __name__ == "__main__":
    main()
