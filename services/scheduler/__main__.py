"""The scheduler process: the admin API, the only writer of the database, placement, node liveness."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from functools import partial

from libs.db.changes import Changes
from libs.db.store import Store, open_store
from libs.domain.errors import FailedPrecondition, InvalidSpec
from libs.domain.records import PUBLIC_GROUP, ResourceGroup
from libs.domain.states import TokenRole
from libs.lifecycle import repeat, run_until_asked, wakes
from libs.rpc.interceptors import BearerTokens, Refusals
from libs.rpc.server import serving
from libs.settings import settings_of
from libs.telemetry import logs
from libs.telemetry.traces import configure_traces
from services.scheduler.access.last_used import LastUsed
from services.scheduler.access.rules import expired
from services.scheduler.agents.sessions import Sessions
from services.scheduler.contracts import ROLES, Parts, contracts, now
from services.scheduler.diagnose.asking import Diagnoses
from services.scheduler.facts_feed.feed import FactsFeed
from services.scheduler.forwarding.peer import peers
from services.scheduler.groups.upgrade import misplaced, placed_anew
from services.scheduler.images.states import PullStates
from services.scheduler.ledger import Ledger
from services.scheduler.live import Live
from services.scheduler.liveness.judge import Limits
from services.scheduler.liveness.watch import NodeWatch
from services.scheduler.mirrors.comparisons import Comparisons
from services.scheduler.own_numbers import reporter
from services.scheduler.pool.loop import Rebalancing, Reclaims
from services.scheduler.ramp.loop import Ramps
from services.scheduler.reconcile.reconciler import Reconciler
from services.scheduler.retention import in_service, retained
from services.scheduler.routes.gateways import Gateways
from services.scheduler.routes.questions import Questions
from services.scheduler.routes.servicer import Listeners
from services.scheduler.routes.table import RoutesTable
from services.scheduler.scaling.absence import COMPONENT, Absence
from services.scheduler.scaling.by_version import with_policies
from services.scheduler.scaling.upgrade import policies_read
from services.scheduler.scaling.waiting import WaitingRequests
from services.scheduler.scaling.waking import Wakes
from services.scheduler.secrets.opening import opened_vault
from services.scheduler.settings import Settings
from services.scheduler.story import DeploymentStory
from services.scheduler.tokens import RoleOf, ensure_token_file
from services.scheduler.traffic.watch import Traffic
from services.scheduler.usage.metering import with_usage
from services.scheduler.usage.upgrade import counted_from
from services.scheduler.world import World

log = logging.getLogger(__name__)


async def run(settings: Settings, stop: asyncio.Event, ready: asyncio.Event | None = None) -> None:
    """Serves until `stop`; sets `ready` when calls are answered."""
    async with AsyncExitStack() as owned:
        traces = owned.enter_context(configure_traces("easel-scheduler", settings.otlp_endpoint))
        store = await owned.enter_async_context(open_store(settings.database_url))
        ledger = Ledger(store, World(await store.load()), partial(_amended, now))
        await _ensure_foundations(ledger, settings)
        await _take_over(ledger)
        vault = await opened_vault(ledger, settings.keys_for_secrets, settings.secrets_key, now)
        pulls = PullStates(started_at=now())

        # Generations must outgrow every one given out before this start.
        base = (await store.next("routes_epoch")) << 32
        table = RoutesTable(ledger.world, base, vault.values, settings.public_url)
        gateways = Gateways(table, now)
        sessions = Sessions(ledger.world, now, settings.node_suspect_after, vault, settings.scale_in_drain)
        limits = Limits(settings.node_suspect_after, settings.node_lost_after, settings.storm_share)
        watch = NodeWatch(ledger, sessions, now, limits)
        # The order of listeners is the order of travel: routes, then agents, then the next turn.
        live, used = Live(), LastUsed(ledger)
        for listener in (table.heard, sessions.heard, live.heard, pulls.heard):
            ledger.subscribe(listener)
        if traces.enabled:
            story = DeploymentStory(ledger.world, traces, now)
            ledger.subscribe(story.heard)
            gateways.on_applied(story.applied)
        reconciler = Reconciler(
            ledger, gateways.unrouted, now, settings.gateway_ack_timeout, settings.resync_every
        )
        rebalancing = Rebalancing(ledger, reconciler.placer, now, settings.rebalance_every)
        reclaims = Reclaims(ledger.world, reconciler.look_at)
        traffic = Traffic(now)
        ramps = Ramps(ledger, traffic, now)
        comparisons = Comparisons()
        metrics, autoscaler = peers(settings, stop)
        owned.push_async_callback(metrics.close)
        owned.push_async_callback(autoscaler.close)
        waiting = WaitingRequests()
        feed = FactsFeed(ledger, gateways, waiting)
        absence = Absence(ledger.world, partial(feed.followed_by, COMPONENT), now)
        diagnoses = Diagnoses(
            ledger.world, live, gateways, sessions, watch, absence, now, settings.delete_idle_after
        )
        woken = Wakes(ledger, waiting, now)
        told = Listeners(traffic, Questions(), used.heard, comparisons.report, waiting.said)
        parts = Parts(
            settings,
            store,
            ledger,
            table,
            gateways,
            sessions,
            live,
            diagnoses,
            vault,
            pulls,
            used,
            ramps,
            comparisons,
            told,
            metrics,
            autoscaler,
            feed,
            waiting,
            reconciler.placer,
            stop,
        )
        interceptors = (
            *traces.server_interceptors(),
            Refusals(),
            BearerTokens(RoleOf(ledger.world, ledger), ROLES),
        )
        await owned.enter_async_context(
            serving(
                contracts(parts), settings.listen, drain_for=settings.drain_for, interceptors=interceptors
            )
        )
        second, minute = timedelta(seconds=1), timedelta(minutes=1)
        periodic: tuple[tuple[Callable[[], Awaitable[None]], timedelta, str], ...] = (
            (watch.look, second, "node liveness"),
            (gateways.look, second, "gateways that are away"),
            (feed.look, second, "facts of gateways"),
            (woken.look, second, "services that woke"),
            (absence.look, second, "the autoscaler"),
            (ramps.look, second, "ramps"),
            (reclaims.look, second, "nodes that are taken away"),
            (rebalancing.look, settings.rebalance_every, "rebalancing"),
            (partial(_expire, ledger), second, "expiry of access tokens"),
            (used.write, minute, "uses of access tokens"),
            (partial(_prune, store, settings), 10 * minute, "event pruning"),
            (partial(_retain, ledger, settings, now), 10 * minute, "idle services"),
        )
        async with asyncio.TaskGroup() as loops:
            loops.create_task(reconciler.run(until=stop))
            loops.create_task(reporter(settings, ledger, reconciler, sessions).run(until=stop))
            for step, every, name in periodic:
                loops.create_task(repeat(step, every, stop, name))
            if ready is not None:
                ready.set()
            loops.create_task(_end_when_fenced(ledger, stop))
            await stop.wait()
            sessions.close_all()


async def _ensure_foundations(ledger: Ledger, settings: Settings) -> None:
    """What must be there before the first call: the public group and the tokens of the operator's files."""

    def public_group(world: World) -> Changes:
        if PUBLIC_GROUP in world.resource_groups:
            return Changes()
        return Changes(put=(ResourceGroup(PUBLIC_GROUP, "public", now()),))

    await ledger.change(public_group)
    await ensure_token_file(ledger, settings.admin_token_file, "admin", TokenRole.ADMIN, now)
    await ensure_token_file(ledger, settings.join_token_file, "join", TokenRole.JOIN, now)
    if settings.autoscaler_token_file is not None:
        await ensure_token_file(ledger, settings.autoscaler_token_file, "autoscaler", TokenRole.ADMIN, now)


async def _take_over(ledger: Ledger) -> None:
    """What earlier releases have stored: policies are read, services join the groups and gateways that they
    name, and usage is counted from now on."""
    await ledger.change(partial(policies_read, now=now()))
    for name in misplaced(ledger.world):
        try:
            await ledger.change(partial(placed_anew, name=name, now=now()))
        except InvalidSpec as refused:
            log.warning("a service stays where it is", extra={"service": name, "why": str(refused)})
    await ledger.change(partial(counted_from, now=now()))


async def _end_when_fenced(ledger: Ledger, stop: asyncio.Event) -> None:
    """Ends the process, through its task group, when another scheduler has taken the database over."""
    async for _ in wakes(ledger.fenced, stop):
        raise FailedPrecondition("another scheduler has this database by now; this one ends")


async def _retain(ledger: Ledger, settings: Settings, clock: Callable[[], datetime]) -> None:
    def decide(world: World) -> Changes:
        serving = partial(in_service, world)
        return retained(world.services.values(), serving, settings.delete_idle_after, clock())

    await ledger.change(decide)


async def _expire(ledger: Ledger) -> None:
    if expired(ledger.world, now()):
        await ledger.change(lambda world: expired(world, now()))


def _amended(clock: Callable[[], datetime], world: World, changes: Changes) -> Changes:
    """Every commit keeps the book of usage, and policies in step with the versions in force."""
    now = clock()
    return with_usage(world, with_policies(world, changes, now), now)


async def _prune(store: Store, settings: Settings) -> None:
    await store.prune_events(settings.events_kept)
    await store.prune_usage(now() - settings.usage_kept)


def main() -> None:
    settings = settings_of(Settings, "scheduler")
    logs.configure(settings.log_level)
    run_until_asked(partial(run, settings))


if __name__ == "__main__":
    main()
