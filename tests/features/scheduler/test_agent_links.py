"""The links of agents: who may open one, what an older one still counts for, and how they end."""

from pathlib import Path

import grpc
import pytest

from easel.admin.v1 import admin_pb2
from easel.agent.v1 import agent_pb2, agent_pb2_grpc
from libs.rpc.client import dial
from services.scheduler.agents.logs import LogInbox
from services.scheduler.agents.sessions import Sessions
from tests.support.builders import NOON, a_node, a_spec, a_world
from tests.support.scheduler_harness import DEADLINE, a_scheduler, an_agent
from tests.support.waiting import until


async def test_two_agents_of_one_name_do_not_take_the_node_from_each_other(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler, agent="first") as first:
        hello = agent_pb2.Hello(node=first.name, agent="second", inventory=agent_pb2.Inventory())

        with pytest.raises(grpc.aio.AioRpcError) as refused:
            async with dial(scheduler.address, scheduler.join_token) as channel:
                link = agent_pb2_grpc.AgentLinkServiceStub(channel).Connect(timeout=DEADLINE)
                await link.write(agent_pb2.ConnectRequest(hello=hello))
                await link.read()

        assert refused.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert "another agent is connected as node 'n1'" in str(refused.value.details())
        await scheduler.create(a_spec())
        await first.sees(lambda a: a.assigned, "an assignment on the first agent's link")


async def test_an_agent_that_connects_again_takes_its_node_over_from_its_older_link(tmp_path: Path) -> None:
    async with (
        a_scheduler(tmp_path) as scheduler,
        an_agent(scheduler, agent="same") as older,
        an_agent(scheduler, agent="same") as newer,
    ):
        await scheduler.create(a_spec())
        (instance,) = await newer.sees(lambda a: list(a.assigned), "an assignment on the newer link")
        older.say_ready(instance)
        newer.say(instance, why="starting")

        async def told() -> bool:
            return [i.why for i in await scheduler.instances_of("digits")] == ["starting"]

        await until(told, "the newer link's report")
        assert not (await scheduler.instances_of("digits"))[0].ready


async def test_an_agent_speaks_to_a_scheduler_whose_database_is_older_than_the_agent_knows(
    tmp_path: Path,
) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler, epoch=900) as agent:
        assert agent.desired is not None
        assert agent.desired.epoch == 901


async def test_a_node_is_not_deleted_under_a_connected_agent_and_joins_anew_afterwards(
    tmp_path: Path,
) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        request = admin_pb2.DeleteNodeRequest(name="n1")
        async with an_agent(scheduler):
            with pytest.raises(grpc.aio.AioRpcError, match="stop it first, or it joins again"):
                await scheduler.nodes.DeleteNode(request, timeout=DEADLINE)

        async def deleted() -> bool:
            try:
                await scheduler.nodes.DeleteNode(request, timeout=DEADLINE)
            except grpc.aio.AioRpcError:
                return False
            return True

        await until(deleted, "the node deleted")
        async with an_agent(scheduler):
            assert (await scheduler.event_reasons()).count("NodeJoined") == 2


async def test_logs_of_an_agent_that_goes_away_end_with_a_sentence(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        async with an_agent(scheduler) as agent:
            await scheduler.create(a_spec())
            (instance,) = await agent.sees(lambda a: list(a.assigned), "an assignment")
            logs = scheduler.instances.StreamInstanceLogs(
                admin_pb2.StreamInstanceLogsRequest(id=instance, follow=True), timeout=DEADLINE
            )
            await agent.sees(lambda a: a.asked_for_logs, "the request for logs")

        with pytest.raises(grpc.aio.AioRpcError, match="the agent of node n1 went away"):
            await logs.read()


async def test_a_slow_reader_of_logs_is_told_what_it_missed() -> None:
    inbox = LogInbox(most_bytes=10)
    for text in (b"one ", b"two ", b"three "):
        inbox.put(agent_pb2.LogChunk(text=text))

    assert (await inbox.next()).text == b"\n[4 bytes were skipped here]\n"
    assert [(await inbox.next()).text for _ in range(2)] == [b"two ", b"three "]


def test_only_nodes_that_exist_are_remembered_as_heard_of() -> None:
    sessions = Sessions(a_world(a_node("n1")), lambda: NOON)

    sessions.seen("n1")
    sessions.seen("anyone")

    assert set(sessions.last_seen) == {"n1"}
