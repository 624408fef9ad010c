"""One gateway: its management server, its feed, its certificates, its Envoy. A process may run several."""

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial

from envoy.service.auth.v3.external_auth_pb2_grpc import add_AuthorizationServicer_to_server
from envoy.service.discovery.v3 import ads_pb2_grpc

from libs.domain.states import TokenRole
from libs.lifecycle import pause
from libs.rpc.addresses import host_and_port
from libs.rpc.client import dial
from libs.rpc.interceptors import BearerTokens
from libs.rpc.server import Service, serving
from libs.telemetry.reporting import Reporter
from services.gateway.ads.servicer import ADS_SERVICE, AdsServicer
from services.gateway.ads.store import ResourceStore
from services.gateway.condition import Conditions
from services.gateway.conversation import conversation
from services.gateway.envoy import capacity
from services.gateway.envoy.admin import EnvoyAdmin
from services.gateway.envoy.ports import taken
from services.gateway.envoy.process import Launch
from services.gateway.envoy.supervisor import EnvoySupervisor
from services.gateway.feed import Identity
from services.gateway.hosting import Hosting
from services.gateway.key_pairs import KeyPairs
from services.gateway.publisher import Publisher
from services.gateway.registry.registrar import Registrar
from services.gateway.sessions import Sessions
from services.gateway.settings import Settings
from services.gateway.snapshot import Snapshots, load
from services.gateway.sockets import front_address, socket_address
from services.gateway.statistics.envoy_stats import statistics_of
from services.gateway.surroundings import surroundings_of
from services.gateway.waiting.room import WaitingRoom
from services.gateway.waiting.servicer import AUTHORIZATION_SERVICE, WaitingServicer
from services.gateway.xds.bootstrap import Dial, bootstrap

log = logging.getLogger(__name__)

# Requests that wait may all come in one moment; beyond a thousand that were not looked at yet, some would be
# refused by chance.
_MANY_AT_ONCE = (
    ("grpc.server.max_pending_requests", 1_000_000),
    ("grpc.server.max_pending_requests_hard_limit", 1_000_000),
)


async def run(
    settings: Settings,
    stop: asyncio.Event,
    ready: asyncio.Event | None = None,
    conditions: Conditions | None = None,
) -> None:
    """Serves until `stop`; sets `ready` when clients can connect (without an own Envoy: when Envoys can).

    What does not work is said to `conditions`, beside what others say there.
    """
    data_dir = settings.data_dir.resolve()
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    token = settings.token()
    conditions, key_pairs = conditions or Conditions(), KeyPairs(data_dir / "certificates.json")
    await asyncio.to_thread(key_pairs.restore)
    publisher = Publisher(ResourceStore(), surroundings_of(settings, key_pairs), settings.node)
    room = WaitingRoom(publisher)
    publisher.on_progress = room.look
    key_pairs.on_changed, key_pairs.on_states = publisher.refresh, conditions.certificates
    snapshot = data_dir / "routes.snapshot"
    known = await asyncio.to_thread(load, snapshot)
    if known is not None:
        await publisher.publish(known)
        publisher.was_saved(publisher.sequence)
        log.info("starting from the snapshot", extra={"services": len(publisher.services)})
    async with AsyncExitStack() as owned:
        xds = await owned.enter_async_context(serving_envoys(settings, publisher, token, room))
        channel = await owned.enter_async_context(dial(settings.scheduler, token))
        public_url = settings.public_url or f"http://{settings.listen}"
        identity = Identity(
            settings.name,
            public_url,
            settings.node,
            settings.direct(),
            hosts=settings.hosts,
            domain=settings.domain,
            port=host_and_port(settings.listen, "listen")[1],
        )
        admin = EnvoyAdmin(admin_address(settings)) if settings.envoy else None
        async with asyncio.TaskGroup() as loops:
            loops.create_task(Snapshots(publisher, snapshot).run(until=stop))
            own_admin = admin_address(settings) if settings.envoy else ""
            for each in conversation(
                channel, identity, publisher, conditions, statistics_of(admin), own_admin, room
            ):
                loops.create_task(each.run(until=stop))
            loops.create_task(room.run(until=stop))
            loops.create_task(Reporter(settings.metrics, token, "gateway", settings.name).run(until=stop))
            loops.create_task(key_pairs.run(until=stop))
            loops.create_task(Sessions(publisher).run(until=stop))
            loops.create_task(Registrar(publisher, settings.own_addresses()).run(until=stop))
            if settings.hosts:
                loops.create_task(Hosting(settings, publisher, run).run(until=stop))
            if settings.envoy:
                own = envoy_dial(settings, xds, token)
                loops.create_task(_own_envoy(settings, own, conditions, stop, ready))
            elif ready is not None:
                ready.set()
            loops.create_task(_front(settings, publisher, stop))
            await stop.wait()


def admin_address(settings: Settings) -> str:
    """Where the own Envoy answers questions about itself."""
    return settings.envoy_admin or socket_address(settings.data_dir, "admin.sock")


def envoy_dial(settings: Settings, xds: str, token: str, *, elsewhere: bool = False) -> Dial:
    """What an Envoy of this gateway is started with; `xds` is where it finds the gateway.

    How much one `elsewhere` may take of its machine is only what was set: this machine says nothing of that.
    """
    return Dial(
        f"{settings.name}-envoy",
        xds,
        admin_address(settings),
        "" if xds.startswith("unix:") else token,
        settings.otlp_endpoint,
        max_heap_mib=settings.max_heap_mib or (0 if elsewhere else capacity.heap_mib()),
        max_connections=settings.max_connections or (0 if elsewhere else capacity.connections()),
        metrics=settings.metrics,
        metrics_token="" if settings.metrics.startswith("unix:") else token,
    )


@asynccontextmanager
async def serving_envoys(
    settings: Settings, publisher: Publisher, token: str, room: WaitingRoom
) -> AsyncIterator[str]:
    """Yields where an Envoy on this machine finds the gateway. Over TCP an Envoy shows the join token."""
    listen = settings.xds_listen or socket_address(settings.data_dir, "xds.sock")
    register = partial(
        ads_pb2_grpc.add_AggregatedDiscoveryServiceServicer_to_server, AdsServicer(publisher.envoys)
    )
    ask = partial(add_AuthorizationServicer_to_server, WaitingServicer(room))
    local = listen.startswith("unix:")

    def role_of(secret: str) -> TokenRole | None:
        return TokenRole.JOIN if token and hmac.compare_digest(secret.encode(), token.encode()) else None

    services = [Service(ADS_SERVICE, register), Service(AUTHORIZATION_SERVICE, ask)]
    guards = [] if local else [BearerTokens(role_of, {each.name: TokenRole.JOIN for each in services})]
    async with serving(
        services, listen, drain_for=timedelta(0), interceptors=guards, options=_MANY_AT_ONCE
    ) as port:
        host = "127.0.0.1" if local else host_and_port(listen, "xds_listen")[0]
        yield listen if local else f"{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"


async def _front(settings: Settings, publisher: Publisher, stop: asyncio.Event) -> None:
    """Answers what Envoy hands to this process."""
    # Loading it takes longer than all else of a start, and Envoy starts meanwhile.
    from services.gateway.front.server import serving_front

    async with serving_front(publisher, front_address(settings)):
        await stop.wait()


async def _own_envoy(
    settings: Settings,
    dial: Dial,
    conditions: Conditions,
    stop: asyncio.Event,
    ready: asyncio.Event | None,
) -> None:
    launch = Launch(settings.data_dir.resolve(), bootstrap(dial), settings.envoy_concurrency)
    admin = EnvoyAdmin(dial.admin)
    hindrance = partial(taken, *host_and_port(settings.listen, "listen"))
    say = partial(conditions.say, "listen")
    supervisor = EnvoySupervisor(launch, admin, settings.drain_for, hindrance, say)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(supervisor.run(until=stop))
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
