"""Instances that are placed by tiers, go back to better ones and give way, turn by turn."""

import json
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from libs.db.changes import Changes
from libs.domain.records import Instance, Node, ResourceGroup, Resources
from libs.domain.states import LIVE_STATES, InstanceState
from services.scheduler.ledger import Ledger
from services.scheduler.pool.loop import Rebalancing, Reclaims
from services.scheduler.pool.reclaim import Announcement, asked
from services.scheduler.reconcile.drain import Unrouted
from services.scheduler.reconcile.reconciler import Reconciler
from services.scheduler.world import World
from tests.support.builders import NOON, a_node, a_service, a_spec
from tests.support.builders import a_version as version_of
from tests.support.memory_store import MemoryStore

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
POOL = {"resource": "lab", "resource_burstable": True, "resource_rebalancing": True, "cpu": 1}
SPOT = {"easel/instance-type": "ecs.spot", "easel/price": "0.2", "easel/spot": "true"}


class Stage:
    """One service on played nodes; agents do at once what they should."""

    def __init__(self, ledger: Ledger, clock: list[datetime]) -> None:
        self.ledger, self.clock = ledger, clock
        self.crashes: set[str] = set()
        self.restart()

    def restart(self) -> None:
        """A scheduler that knows what is stored, and nothing else."""
        self.reconciler = Reconciler(self.ledger, lambda _: Unrouted(), lambda: self.clock[0], MINUTE, HOUR)
        self.rebalancing = Rebalancing(self.ledger, self.reconciler.placer, lambda: self.clock[0], MINUTE)

    @property
    def live(self) -> list[Instance]:
        return [i for i in self.ledger.world.instances_of("digits") if i.state in LIVE_STATES]

    def where(self) -> Counter[str]:
        return Counter(i.node for i in self.live if i.serves)

    async def put(self, *records: Any) -> None:
        await self.ledger.change(lambda _: Changes(put=records))

    async def resize(self, node: str, cpus: int) -> None:
        room = Resources(cpu_milli=1000 * cpus, memory_mib=8_000, disk_mib=8_000)
        await self.put(replace(self.ledger.world.node(node), capacity=room))

    async def scale(self, wanted: int) -> None:
        await self.put(replace(self.ledger.world.service("digits"), wanted=wanted))
        await self.settle()

    async def settle(self) -> None:
        """Turns, each followed by what the agents say, until nothing changes."""
        for _ in range(20):
            changes = await self.reconciler.reconcile(["digits"])
            told = await self.agents()
            if not changes and not told:
                return
        raise AssertionError("it does not come to rest")

    async def look(self) -> int:
        """A minute later: how many probes there are, and then all that comes of them."""
        self.clock[0] += MINUTE
        before = {i.id for i in self.live}
        await self.rebalancing.look()
        probes = len({i.id for i in self.live} - before)
        await self.settle()
        return probes

    async def agents(self) -> Changes:
        def decide(world: World) -> Changes:
            mine = list(world.instances_of("digits"))
            gone = tuple(i for i in mine if i.stopping)
            starting = (i for i in mine if i.state is InstanceState.SCHEDULED)
            return Changes(put=tuple(self.started(i) for i in starting), delete=gone)

        return await self.ledger.change(decide)

    def started(self, instance: Instance) -> Instance:
        if instance.node in self.crashes:
            return replace(instance, state=InstanceState.CRASH_LOOP_BACK_OFF, why="exited with 1")
        now = self.clock[0]
        return replace(instance, state=InstanceState.RUNNING, ready=True, ready_at=now, port=20_000)


def a_room(name: str, cpus: int, **fields: Any) -> Node:
    room = Resources(cpu_milli=1000 * cpus, memory_mib=8_000, disk_mib=8_000)
    return replace(a_node(name, capacity=room, **fields), revision=0)


async def a_stage(wanted: int, *nodes: Node, cloud: dict[str, Any] | None = None, **metadata: Any) -> Stage:
    store, clock = MemoryStore(), [NOON]
    spec = {**a_spec(instance=wanted, **metadata), "cloud": cloud or {}}
    records = (
        ResourceGroup("public", "public", NOON),
        ResourceGroup("lab", "dedicated", NOON),
        *nodes,
        replace(a_service(wanted=wanted), revision=0),
        replace(version_of(spec=json.loads(json.dumps(spec))), revision=0),
    )
    await store.commit(Changes(put=records))
    stage = Stage(Ledger(store, World(await store.load())), clock)
    await stage.settle()
    return stage


async def test_own_nodes_fill_first_and_public_ones_are_given_up_first() -> None:
    stage = await a_stage(5, a_room("own", 2, resource_group="lab"), a_room("public", 9), **POOL)
    assert stage.where() == {"own": 2, "public": 3}

    await stage.scale(3)
    assert stage.where() == {"own": 2, "public": 1}

    await stage.scale(1)
    assert stage.where() == {"own": 1}


async def test_a_placement_keeps_when_and_where_it_was() -> None:
    own, spot = a_room("own", 1, resource_group="lab"), a_room("spot", 9, labels=SPOT)
    cloud = {"computing": {"instances": [{"type": "ecs.spot", "spot_price_limit": 0.5}]}}
    stage = await a_stage(2, own, spot, cloud=cloud, **POOL)

    kept = sorted((i.resource_group, i.pool, i.instance_type, i.price, i.placed_at) for i in stage.live)

    assert kept == [("lab", "dedicated", "", 0.0, NOON), ("public", "spot", "ecs.spot", 0.2, NOON)]


async def test_what_waits_says_why_no_tier_takes_it() -> None:
    cloud = {"computing": {"instances": [{"type": "ecs.small", "capacity": 0}, {"type": "ecs.large"}]}}
    small = a_room("small", 9, labels={"easel/instance-type": "ecs.small"})
    stage = await a_stage(1, small, a_room("own", 0, resource_group="lab"), cloud=cloud, **POOL)

    (waiting,) = stage.live

    assert waiting.why == (
        "no node fits: own nodes (lab): 1 node: 1 lacks 1 CPU (most free 0); "
        "ecs.small: its capacity of 0 is used up (0 instances use it); "
        "ecs.large: 1 node: 1 is not of type ecs.large"
    )


async def test_instances_go_back_to_own_nodes_ever_more_at_once_and_never_lack() -> None:
    stage = await a_stage(8, a_room("own", 0, resource_group="lab"), a_room("public", 20), **POOL)
    await stage.resize("own", 7)

    probes = [await stage.look() for _ in range(4)]

    # The last one finds no room: its try changes nothing.
    assert probes == [1, 2, 4, 0]
    assert stage.where() == {"own": 7, "public": 1}
    await stage.resize("own", 8)
    assert await stage.look() == 1
    assert stage.where() == {"own": 8}


async def test_what_moves_by_choice_serves_until_its_successor_does_however_few_an_update_may_lack() -> None:
    few: dict[str, Any] = {"rolling_strategy": {"max_surge": 0, "max_unavailable": 1}}
    stage = await a_stage(1, a_room("own", 0, resource_group="lab"), a_room("public", 9), **POOL, **few)
    await stage.resize("own", 7)
    stage.clock[0] += MINUTE
    await stage.rebalancing.look()

    await stage.reconciler.reconcile(["digits"])

    assert stage.where() == {"public": 1}
    await stage.settle()
    assert stage.where() == {"own": 1}


async def test_one_that_was_to_move_stays_where_a_larger_size_needs_it_and_its_successor() -> None:
    few: dict[str, Any] = {"rolling_strategy": {"max_surge": 0, "max_unavailable": 1}}
    stage = await a_stage(2, a_room("own", 0, resource_group="lab"), a_room("public", 9), **POOL, **few)
    await stage.resize("own", 7)
    stage.clock[0] += MINUTE
    await stage.rebalancing.look()
    await stage.scale(3)
    assert stage.where() == {"own": 1, "public": 2}

    await stage.look()

    assert not any(i.replace_why for i in stage.live)
    # It goes on from there.
    assert await stage.look() == 2
    assert stage.where() == {"own": 3}


async def test_without_rebalancing_nothing_moves() -> None:
    own = a_room("own", 0, resource_group="lab")
    stage = await a_stage(2, own, a_room("public", 9), **{**POOL, "resource_rebalancing": False})
    await stage.resize("own", 7)

    assert await stage.look() == 0


async def test_nothing_moves_while_an_update_is_under_way() -> None:
    stage = await a_stage(2, a_room("own", 0, resource_group="lab"), a_room("public", 9), **POOL)
    await stage.resize("own", 7)
    await stage.put(replace(stage.live[0], ready=False))

    assert await stage.look() == 0


async def test_a_probe_that_does_not_come_up_leaves_the_old_one_in_place() -> None:
    stage = await a_stage(2, a_room("own", 0, resource_group="lab"), a_room("public", 9), **POOL)
    stage.crashes.add("own")
    await stage.resize("own", 7)

    assert await stage.look() == 1
    assert stage.where() == {"public": 2}
    await stage.look()

    assert stage.where() == {"public": 2}
    assert len(stage.live) == 2
    assert await stage.look() == 0, "it is left alone for a while"


async def test_a_probe_of_a_scheduler_that_ended_meanwhile_is_looked_after_by_the_next_one() -> None:
    stage = await a_stage(2, a_room("own", 0, resource_group="lab"), a_room("public", 9), **POOL)
    stage.crashes.add("own")
    await stage.resize("own", 7)
    assert await stage.look() == 1

    stage.restart()
    await stage.look()

    assert stage.where() == {"public": 2}
    assert len(stage.live) == 2
    assert not any(i.replace_why for i in stage.live)


async def test_a_spot_node_that_became_dearer_than_its_limit_is_left_for_the_next_tier() -> None:
    cloud = {
        "computing": {"instances": [{"type": "ecs.spot", "spot_price_limit": 0.5}, {"type": "ecs.firm"}]}
    }
    firm = a_room("firm", 9, labels={"easel/instance-type": "ecs.firm"})
    stage = await a_stage(2, a_room("spot", 9, labels=SPOT), firm, cloud=cloud, cpu=1)
    assert stage.where() == {"spot": 2}

    await stage.put(replace(stage.ledger.world.node("spot"), labels={**SPOT, "easel/price": "0.6"}))
    probes = [await stage.look() for _ in range(2)]

    assert (probes, stage.where()) == ([1, 1], {"firm": 2})


async def test_a_reclaimed_node_is_empty_before_it_goes_and_its_successors_take_the_next_tiers() -> None:
    cloud = {
        "computing": {"instances": [{"type": "ecs.spot", "spot_price_limit": 0.5}, {"type": "ecs.firm"}]}
    }
    firm = a_room("firm", 9, labels={"easel/instance-type": "ecs.firm"})
    stage = await a_stage(3, a_room("spot", 9, labels=SPOT), firm, cloud=cloud, cpu=1)
    going = Announcement("spot", timedelta(minutes=2), force=True)
    await stage.ledger.change(lambda world: asked(world, going, stage.clock[0]))

    await stage.reconciler.reconcile(["digits"])
    # All three have a successor at once, and serve until it does.
    assert Counter(i.node for i in stage.live) == {"spot": 3, "firm": 3}
    assert stage.where() == {"spot": 3}
    await stage.settle()

    assert stage.where() == {"firm": 3}


async def test_what_finds_no_other_place_leaves_traffic_in_time_for_its_requests_to_end() -> None:
    stage = await a_stage(1, a_room("only", 9), cpu=1)
    going = Announcement("only", timedelta(minutes=2))
    await stage.ledger.change(lambda world: asked(world, going, stage.clock[0]))
    woken: set[str] = set()
    reclaims = Reclaims(stage.ledger.world, woken.update)

    await stage.settle()
    await reclaims.look()
    assert (stage.where(), woken) == ({"only": 1}, {"digits"})

    # 30 s for its requests, 5 s for the gateways.
    stage.clock[0] += timedelta(seconds=84)
    await stage.settle()
    assert stage.where() == {"only": 1}
    stage.clock[0] += timedelta(seconds=1)
    await stage.settle()
    assert stage.where() == {}
