"""Nodes that announce their end themselves, what fits where, and what nodes say of their machines."""

from pathlib import Path

import grpc
import pytest

from easel.admin.v1 import admin_pb2, scaling_pb2, scaling_pb2_grpc
from easel.agent.v1 import agent_pb2
from easel.common.v1 import common_pb2
from tests.support.builders import a_spec
from tests.support.scheduler_harness import (
    DEADLINE,
    LinkedAgent,
    RunningScheduler,
    a_gateway,
    a_scheduler,
    an_agent,
)
from tests.support.waiting import until

SPOT = {"easel/instance-type": "ecs.spot", "easel/price": "0.25", "easel/spot": "true"}
CAPACITY = common_pb2.Resources(cpu_milli=4000, memory_mib=16_000, disk_mib=100_000)


def goes_away(agent: LinkedAgent, seconds: float) -> None:
    """Its owner has told the agent."""
    told = agent_pb2.Inventory(
        capacity=CAPACITY,
        runtime=common_pb2.RUNTIME_PROCESS,
        address="127.0.0.1",
        first_port=20000,
        last_port=20999,
        labels=SPOT,
        reclaim_why="outbid",
    )
    told.reclaim_at.GetCurrentTime()
    told.reclaim_at.seconds += round(seconds)
    agent.beat(inventory=told)


async def node(scheduler: RunningScheduler, name: str) -> admin_pb2.Node:
    return (await scheduler.nodes.GetNode(admin_pb2.GetNodeRequest(name=name), timeout=DEADLINE)).node


def a_thrifty_spec(**metadata: object) -> dict[str, object]:
    types = [{"type": "ecs.spot", "spot_price_limit": 0.5}, {"type": "dedicated_resource"}]
    return {**a_spec(**metadata), "cloud": {"computing": {"instances": types}}}


async def test_an_agent_that_says_its_node_goes_away_is_left_for_the_next_tier(tmp_path: Path) -> None:
    async with (
        a_scheduler(tmp_path) as scheduler,
        an_agent(scheduler, "spot", capacity=CAPACITY, labels=SPOT) as spot,
        an_agent(scheduler, "firm", capacity=CAPACITY) as firm,
        a_gateway(scheduler) as gateway,
    ):
        await scheduler.create(a_thrifty_spec(cpu=1))
        (old,) = await spot.sees(lambda a: list(a.assigned), "an assignment of the first tier")
        spot.say_ready(old)
        await until(lambda: gateway.endpoints("digits") == {old}, "its route")
        gateway.applied()

        goes_away(spot, 60)
        (new,) = await firm.sees(lambda a: list(a.assigned), "a successor on the next tier")
        assert gateway.endpoints("digits") == {old}
        firm.say_ready(new, port=20001)
        await until(lambda: gateway.endpoints("digits") == {new}, "the new route alone")
        gateway.applied()
        await spot.sees(lambda a: a.assigned[old].stop, "the order to stop")

        told = await node(scheduler, "spot")
        by_id = {i.id: i for i in await scheduler.instances_of("digits")}

    assert (told.instance_type, told.price, told.spot, told.HasField("reclaim_at")) == (
        "ecs.spot",
        0.25,
        True,
        True,
    )
    assert (by_id[old].pool, by_id[old].instance_type, by_id[new].pool) == ("spot", "ecs.spot", "public")


async def test_what_fits_is_counted_for_a_service_tier_by_tier_and_for_any_size(tmp_path: Path) -> None:
    async with (
        a_scheduler(tmp_path) as scheduler,
        an_agent(scheduler, "spot", capacity=CAPACITY, labels=SPOT),
        an_agent(scheduler, "firm", capacity=CAPACITY),
    ):
        await scheduler.create(a_thrifty_spec(cpu=1.5))
        await until(lambda: _placed(scheduler), "a placement")
        capacity = scaling_pb2_grpc.CapacityServiceStub(scheduler.channel)

        of_service = await capacity.GetCapacity(
            scaling_pb2.GetCapacityRequest(service="digits"), timeout=DEADLINE
        )
        size = scaling_pb2.Shape(resources=common_pb2.Resources(cpu_milli=3000))
        of_size = await capacity.GetCapacity(scaling_pb2.GetCapacityRequest(shape=size), timeout=DEADLINE)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await capacity.GetCapacity(scaling_pb2.GetCapacityRequest(), timeout=DEADLINE)

    assert [(each.tier, each.fits, list(each.reasons)) for each in of_service.groups] == [
        ("spot ecs.spot up to 0.5", 1, ["1 node: lacks 1.5 CPUs"]),
        ("public nodes", 2, ["1 node: lacks 1.5 CPUs"]),
    ]
    (public,) = of_size.groups
    assert [(on.node, on.fits, on.why) for on in public.on] == [
        ("firm", 1, "lacks 3 CPUs (1 free)"),
        ("spot", 0, "is a spot node, and none is asked for"),
    ]
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def _placed(scheduler: RunningScheduler) -> bool:
    return any(i.node for i in await scheduler.instances_of("digits"))


async def test_who_takes_the_only_node_away_is_told_that_nothing_else_has_room(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler, "n1", capacity=CAPACITY) as agent:
        await scheduler.create(a_spec(cpu=1))
        (only,) = await agent.sees(lambda a: list(a.assigned), "an assignment")
        agent.say_ready(only)

        async def reclaim(seconds: int, **more: bool) -> admin_pb2.ReclaimNodeResponse:
            request = admin_pb2.ReclaimNodeRequest(name="n1", why="outbid", **more)
            request.notice.FromSeconds(seconds)
            return await scheduler.nodes.ReclaimNode(request, timeout=DEADLINE)

        with pytest.raises(grpc.aio.AioRpcError, match="give longer notice, or force it") as refused:
            await reclaim(0)
        later, at_once = await reclaim(600), await reclaim(0, force=True)

        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert (later.moving, later.room, later.hurried) == (1, 0, 0)
        assert (at_once.room, at_once.node.reclaim_why) == (0, "outbid")
