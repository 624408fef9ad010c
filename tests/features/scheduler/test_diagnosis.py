"""What an operator is told while instances come, fail and leave, over the links of agents and gateways."""

from pathlib import Path
from typing import Any

import grpc
import pytest

from easel.admin.v1 import admin_pb2
from easel.common.v1 import common_pb2
from tests.support.builders import a_spec
from tests.support.scheduler_harness import (
    DEADLINE,
    LinkedAgent,
    RunningScheduler,
    a_gateway,
    a_scheduler,
    an_agent,
    followed_facts,
)
from tests.support.waiting import until

MIB = 1 << 20
PULLING = common_pb2.INSTANCE_STATE_PULLING
CRASHING = common_pb2.INSTANCE_STATE_CRASH_LOOP_BACK_OFF


async def diagnosed(scheduler: RunningScheduler, name: str = "digits") -> dict[str, admin_pb2.Finding]:
    """The findings about a service, by cause."""
    request = admin_pb2.DiagnoseServiceRequest(name=name)
    answer = await scheduler.services.DiagnoseService(request, timeout=DEADLINE)
    return {each.cause: each for each in answer.findings}


async def instance_of(scheduler: RunningScheduler, agent: LinkedAgent) -> str:
    """Makes a service; its only instance, once the agent is told of it."""
    await scheduler.create(a_spec())
    (instance,) = await agent.sees(lambda a: list(a.assigned), "an assignment")
    return instance


def some_progress(done: int, rate: int = 10) -> common_pb2.Progress:
    return common_pb2.Progress(
        what="image a:1", done_bytes=done * MIB, total_bytes=1000 * MIB, bytes_per_second=rate * MIB
    )


async def test_a_transfer_is_shown_as_it_goes_and_told_now_and_then(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler) as agent:
        instance = await instance_of(scheduler, agent)

        async def shown() -> common_pb2.Progress:
            return (await scheduler.instances_of("digits"))[0].progress

        agent.say(instance, state=PULLING, progress=some_progress(10))
        await until(lambda: has_event(scheduler, "TransferProgress"), "the event of its beginning")
        events = await scheduler.event_reasons()
        for done in range(11, 200):
            agent.say(instance, state=PULLING, progress=some_progress(done))
        await until(lambda: shown_is(shown, 199), "newer progress")

        assert await scheduler.event_reasons() == events


async def has_event(scheduler: RunningScheduler, reason: str) -> bool:
    return reason in await scheduler.event_reasons()


async def shown_is(shown: Any, done: int) -> bool:
    return bool((await shown()).done_bytes == done * MIB)


async def test_progress_is_over_when_the_instance_is_ready_or_its_agent_goes_away(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        async with an_agent(scheduler) as agent:
            instance = await instance_of(scheduler, agent)
            agent.say(instance, state=PULLING, progress=some_progress(10))
            await until(lambda: has_progress(scheduler), "progress")
            agent.say_ready(instance)
            await until(lambda: has_no_progress(scheduler), "its end")
            agent.say(instance, state=PULLING, progress=some_progress(10))
            await until(lambda: has_progress(scheduler), "progress")

        await until(lambda: has_no_progress(scheduler), "its end")


async def has_progress(scheduler: RunningScheduler) -> bool:
    return (await scheduler.instances_of("digits"))[0].HasField("progress")


async def has_no_progress(scheduler: RunningScheduler) -> bool:
    return not await has_progress(scheduler)


async def test_of_a_service_that_serves_nothing_is_said(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler) as agent, a_gateway(scheduler):
        agent.say_ready(await instance_of(scheduler, agent))

        async def well() -> bool:
            return not await diagnosed(scheduler)

        await until(well, "an empty diagnosis")


async def test_a_crash_is_told_with_its_last_lines_and_never_with_a_secret(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler) as agent, a_gateway(scheduler):
        instance = await instance_of(scheduler, agent)
        token = (
            await scheduler.services.GetServiceToken(
                admin_pb2.GetServiceTokenRequest(name="digits"), timeout=DEADLINE
            )
        ).token
        agent.log = f"Traceback\nValueError: bad token {token}\n".encode()
        agent.say(instance, state=CRASHING, cause="Exited", why="exited with code 1", restarts=3)

        async def crash() -> admin_pb2.Finding | None:
            return (await diagnosed(scheduler)).get("Exited")

        told = await until(crash, "the crash")

    assert told.severity == admin_pb2.Finding.SEVERITY_ERROR
    assert told.what == f"{instance} is CrashLoopBackOff: exited with code 1; restarted 3 times"
    assert list(told.evidence) == ["Traceback", "ValueError: bad token ******"]
    assert "easel logs" in told.advice


async def test_a_diagnosis_does_not_wait_long_for_an_agent_that_does_not_answer(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler) as agent, a_gateway(scheduler):
        instance = await instance_of(scheduler, agent)
        agent.say(instance, state=CRASHING, cause="Exited", why="exited with code 1")
        await until(lambda: has_cause(scheduler, "Exited"), "the crash")

        request = admin_pb2.DiagnoseInstanceRequest(id=instance)
        answer = await scheduler.instances.DiagnoseInstance(request, timeout=DEADLINE)

    assert [each.cause for each in answer.findings] == ["Exited"]
    assert not answer.findings[0].evidence


async def has_cause(scheduler: RunningScheduler, cause: str) -> bool:
    return cause in await diagnosed(scheduler)


async def test_while_an_instance_drains_it_is_said_what_it_waits_for(tmp_path: Path) -> None:
    async with (
        a_scheduler(tmp_path) as scheduler,
        an_agent(scheduler) as agent,
        a_gateway(scheduler) as gateway,
    ):
        instance = await instance_of(scheduler, agent)
        agent.say_ready(instance)
        await until(lambda: instance in gateway.endpoints("digits"), "its route")
        gateway.applied()
        await scheduler.services.StopService(admin_pb2.StopServiceRequest(name="digits"), timeout=DEADLINE)
        await until(lambda: has_cause(scheduler, "GatewaySilent"), "the gateway that does not answer")

        gateway.applied()
        await agent.sees(lambda a: a.assigned[instance].stop, "the order to stop")
        agent.say(instance, state=common_pb2.INSTANCE_STATE_RUNNING, connections=2)

        async def waits() -> str:
            told = (await diagnosed(scheduler)).get("Draining")
            return told.what if told and "connections" in told.what else ""

        assert "2 connections open still" in await until(waits, "the connections")


async def test_a_node_whose_agent_is_away_is_said(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, a_gateway(scheduler):
        async with an_agent(scheduler) as agent:
            agent.say_ready(await instance_of(scheduler, agent))
            await until(lambda: has_no_cause(scheduler, "NothingReady"), "a ready instance")

        await until(lambda: has_cause(scheduler, "AgentAway"), "the absence")


async def test_that_the_autoscaler_is_away_is_said_until_it_follows_the_facts(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create({**a_spec(), "autoscaler": {"min": 0, "max": 2}})
        await until(lambda: has_cause(scheduler, "AutoscalerAway"), "the absence")

        async with followed_facts(scheduler, component="autoscaler"):
            assert await has_no_cause(scheduler, "AutoscalerAway")


async def has_no_cause(scheduler: RunningScheduler, cause: str) -> bool:
    return cause not in await diagnosed(scheduler)


async def test_what_is_not_there_cannot_be_diagnosed(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await diagnosed(scheduler, "nothing")

    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
