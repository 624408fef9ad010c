"""The facts that metrics and the autoscaler follow: everything first, then what changed."""

from pathlib import Path

import grpc
import pytest

from easel.facts.v1 import facts_pb2
from easel.gateway.v1 import gateway_pb2
from tests.support.builders import a_spec
from tests.support.scheduler_harness import (
    RunningScheduler,
    a_gateway,
    a_scheduler,
    an_agent,
    followed_facts,
)
from tests.support.waiting import until


async def test_a_follower_is_told_everything_first_and_then_what_changed(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler) as agent, a_gateway(scheduler):
        await scheduler.create(a_spec("first", instance=2, cpu=1))
        async with followed_facts(scheduler) as facts:
            assert facts.messages[0].full
            assert facts.services["first"].wanted == 2
            assert facts.services["first"].resources.cpu_milli == 1000
            assert facts.nodes["n1"].kind == "public"
            assert facts.gateways["gateway"].connected

            await scheduler.create(a_spec("second"))
            await until(lambda: "second" in facts.services, "the second service")
            assert not any(message.full for message in facts.messages[1:])

            placed = await agent.sees(lambda a: len(a.assigned) == 3 and list(a.assigned), "assignments")
            for instance in placed:
                agent.say_ready(instance)
            await until(
                lambda: [each.ready for each in facts.services["first"].instances] == [True, True],
                "both instances ready",
            )
            assert facts.nodes["n1"].allocated.cpu_milli == 2000


async def test_what_gateways_hold_is_summed_and_forgotten_with_the_gateway(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, followed_facts(scheduler) as facts:
        await scheduler.create(a_spec())
        async with a_gateway(scheduler, "gateway") as one, a_gateway(scheduler, "gateway") as other:
            one.say(waiting=_waiting(3))
            other.say(waiting=_waiting(4))
            await until(lambda: _level(facts.services) == 7, "what both hold")
            one.say(waiting=gateway_pb2.Waiting())
            await until(lambda: _level(facts.services) == 4, "what the other holds")
        await until(lambda: _level(facts.services) == 0, "nothing held by those that left")
        await until(lambda: not facts.gateways["gateway"].connected, "the gateway gone")


async def test_join_and_admin_tokens_open_the_facts_and_no_other(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        for token in (scheduler.join_token, scheduler.admin_token):
            async with followed_facts(scheduler, token) as facts:
                assert facts.messages[0].full
        assert await _refusal(scheduler, "another") is grpc.StatusCode.UNAUTHENTICATED


async def test_a_deleted_service_is_told_as_removed(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create(a_spec())
        async with followed_facts(scheduler) as facts:
            await scheduler.delete("digits")
            await until(lambda: "digits" not in facts.services, "the service removed")


async def _refusal(scheduler: RunningScheduler, token: str) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        async with followed_facts(scheduler, token):
            pass
    return refused.value.code()


def _waiting(requests: int) -> gateway_pb2.Waiting:
    level = gateway_pb2.ServiceWaiting(service="digits", requests=requests)
    return gateway_pb2.Waiting(services=[level])


def _level(services: dict[str, facts_pb2.ServiceFacts]) -> int | None:
    return services["digits"].waiting if "digits" in services else None
