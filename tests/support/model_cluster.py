"""A scheduler's decisions with everything around them played: nodes, gateways, users, and time."""

import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from easel.agent.v1 import agent_pb2
from easel.common.v1 import common_pb2
from libs.db.changes import Changes
from libs.domain.records import Instance, ResourceGroup, ServiceVersion
from libs.domain.states import LIVE_STATES
from libs.domain.traffic import SHARED_GATEWAY
from services.scheduler.admin.instances import deleted, detached, isolated, restarted
from services.scheduler.admin.services import Services
from services.scheduler.admin.updating import UpdateAsk
from services.scheduler.agents.desired import order_of
from services.scheduler.agents.reports import changes_from_reports
from services.scheduler.ledger import Ledger
from services.scheduler.reconcile.drain import Unrouted
from services.scheduler.reconcile.reconciler import Reconciler
from services.scheduler.rollout.begin import PlanAsked
from services.scheduler.rollout.groups import is_apart
from services.scheduler.routes.gateways import Gateway, Gateways
from services.scheduler.routes.table import RoutesTable
from services.scheduler.world import World
from tests.support.builders import NOON, a_node, a_spec
from tests.support.memory_store import MemoryStore

STATES = {
    "starting": common_pb2.INSTANCE_STATE_STARTING,
    "crashing": common_pb2.INSTANCE_STATE_CRASH_LOOP_BACK_OFF,
    "ready": common_pb2.INSTANCE_STATE_RUNNING,
}


@dataclass
class PlayedGateway:
    """What its Envoys route to: the instances of the routes that it applied last."""

    link: Gateway
    routes: frozenset[str] = frozenset()


@dataclass
class Cluster:
    """Everything but the loop; call `turn` for one."""

    ledger: Ledger
    table: RoutesTable
    gateways: Gateways
    services: Services
    reconciler: Reconciler
    clock: list[datetime]
    played: list[PlayedGateway] = field(default_factory=list)

    async def turn(self) -> Changes:
        return await self.reconciler.reconcile(sorted(self.ledger.world.services))

    def instances(self, service: str) -> list[Instance]:
        return list(self.ledger.world.instances_of(service))

    def counted(self, service: str) -> list[Instance]:
        """The live ones, but for those in whose place there is another."""
        known = self.ledger.world.service(service)
        live = (i for i in self.instances(service) if i.state in LIVE_STATES)
        return [i for i in live if not is_apart(i, known)]

    def wait(self, seconds: float) -> None:
        self.clock[0] += timedelta(seconds=seconds)

    def apply_routes(self, gateway: PlayedGateway) -> None:
        update = self.table.full(gateway.link.audience)
        self.gateways.sent(gateway.link, update)
        endpoints = (e.instance for route in update.services for b in route.backends for e in b.endpoints)
        gateway.routes = frozenset(endpoints)
        self.gateways.applied(gateway.link, self.table.generation, 1)

    async def say(self, instance: Instance, what: str) -> None:
        """Its agent reports; only what it was told to stop is ever gone."""
        now = self.clock[0]
        report = agent_pb2.InstanceReport(
            id=instance.id,
            epoch=instance.epoch,
            state=STATES.get(what, common_pb2.INSTANCE_STATE_TERMINATING),
            ready=what == "ready",
            gone=what == "gone",
            address="127.0.0.1",
            port=instance.host_port or 20000,
            run=instance.run,
        )
        if report.ready:
            report.ready_at.FromDatetime(now)
        await self.ledger.change(lambda world: changes_from_reports(world, instance.node, [report], now))

    def told_to_stop(self) -> list[Instance]:
        return [i for i in self.ledger.world.instances.values() if i.stopping and order_of(i) is not None]

    async def update(self, name: str, version_label: str, plan: PlanAsked | None = None) -> None:
        change = json.dumps({"labels": {"release": version_label}})
        await self.services.update(UpdateAsk(name, change, plan=plan))

    async def treat(self, instance: Instance, what: str) -> None:
        """What a user does to one instance."""
        now = self.clock[0]

        def decide(world: World) -> Changes:
            match what:
                case "delete":
                    return deleted(world, instance.id, now)
                case "restart":
                    return restarted(world, instance.id, now)
                case "detach":
                    return detached(world, instance.id, "", now)
            return isolated(world, instance.id, what == "isolate", "", now)

        await self.ledger.change(decide)

    async def drain(self, node: str, draining: bool) -> None:
        await self.ledger.change(
            lambda world: Changes(
                put=(replace(world.node(node), draining=draining, schedulable=not draining),)
            )
        )


async def a_cluster(nodes: int, gateways: int) -> Cluster:
    store, clock = MemoryStore(), [NOON]
    put = [replace(a_node(f"n{n}"), revision=0) for n in range(nodes)]
    await store.commit(Changes(put=(ResourceGroup("public", "public", NOON), *put)))
    ledger = Ledger(store, World(await store.load()))
    table = RoutesTable(ledger.world, base=1 << 32)
    known = Gateways(table, lambda: clock[0])
    ledger.subscribe(table.heard)

    def unrouted(instance: str) -> Unrouted:
        return known.unrouted(instance)

    # No gateway is ever given up on, so that one told to stop while routed to is always a defect.
    patience = timedelta(days=1)
    reconciler = Reconciler(ledger, unrouted, lambda: clock[0], patience, patience)
    services = Services(ledger, lambda: clock[0], lambda: "")
    # Several processes of the shared gateway.
    played = [PlayedGateway(known.connected(SHARED_GATEWAY, "", 1)) for _ in range(gateways)]
    return Cluster(ledger, table, known, services, reconciler, clock, played)


def a_spec_of(name: str, instances: int, max_surge: int, max_unavailable: int) -> str:
    rolling = {"max_surge": max_surge, "max_unavailable": max_unavailable}
    return json.dumps(a_spec(name, instance=instances, rolling_strategy=rolling))


def newest(cluster: Cluster, name: str) -> ServiceVersion:
    world = cluster.ledger.world
    return world.version(name, world.service(name).version)
