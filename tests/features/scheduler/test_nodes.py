"""Nodes that are emptied, fall silent and come back: what runs on them moves, and nothing runs twice."""

from pathlib import Path

from easel.admin.v1 import admin_pb2
from easel.common.v1 import common_pb2
from tests.support.builders import a_spec
from tests.support.scheduler_harness import (
    DEADLINE,
    LinkedAgent,
    LinkedGateway,
    RunningScheduler,
    a_gateway,
    a_scheduler,
    an_agent,
)
from tests.support.waiting import until


async def served_by(scheduler: RunningScheduler, agent: LinkedAgent, gateway: LinkedGateway) -> str:
    """Makes a service; its only instance, once it is ready on the agent's node and routed."""
    await scheduler.create(a_spec())
    (instance,) = await agent.sees(lambda a: list(a.assigned), "an assignment")
    agent.say_ready(instance)
    await until(lambda: instance in gateway.endpoints("digits"), "its route")
    gateway.applied()
    return instance


async def test_a_node_that_is_drained_keeps_serving_until_what_replaces_it_is_ready(tmp_path: Path) -> None:
    async with (
        a_scheduler(tmp_path) as scheduler,
        an_agent(scheduler, "first") as first,
        a_gateway(scheduler) as gateway,
    ):
        old = await served_by(scheduler, first, gateway)
        async with an_agent(scheduler, "second") as second:
            drain = admin_pb2.DrainNodeRequest(name="first", why="new fans")
            answer = await scheduler.nodes.DrainNode(drain, timeout=DEADLINE)
            (new,) = await second.sees(lambda a: list(a.assigned), "the successor")
            assert gateway.endpoints("digits") == {old}

            second.say_ready(new, port=20001)
            await until(lambda: gateway.endpoints("digits") == {new}, "the new route alone")
            assert not first.assigned[old].stop
            gateway.applied()
            await first.sees(lambda a: a.assigned[old].stop, "the order to stop")
            first.say(old, gone=True)
            await first.sees(lambda a: not a.assigned, "an empty node")

    assert answer.moving == 1


async def test_a_drained_node_keeps_what_has_no_other_place(tmp_path: Path) -> None:
    async with (
        a_scheduler(tmp_path) as scheduler,
        an_agent(scheduler) as agent,
        a_gateway(scheduler) as gateway,
    ):
        old = await served_by(scheduler, agent, gateway)
        drain = admin_pb2.DrainNodeRequest(name="n1")
        await scheduler.nodes.DrainNode(drain, timeout=DEADLINE)

        async def waits() -> bool:
            states = [i.state for i in await scheduler.instances_of("digits")]
            return common_pb2.INSTANCE_STATE_PENDING in states

        await until(waits, "a successor that finds no place")

        (node,) = (await scheduler.nodes.ListNodes(admin_pb2.ListNodesRequest(), timeout=DEADLINE)).nodes
        assert node.draining
        assert gateway.endpoints("digits") == {old}
        assert not agent.assigned[old].stop


async def test_a_node_that_comes_back_in_time_keeps_what_it_runs(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, a_gateway(scheduler) as gateway:
        async with an_agent(scheduler) as agent:
            old = await served_by(scheduler, agent, gateway)

        async with an_agent(scheduler, running=(old,)) as again:
            assert list(again.assigned) == [old]
            assert not again.assigned[old].stop
            assert gateway.endpoints("digits") == {old}
