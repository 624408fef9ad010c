"""What services have used, as a scheduler tells it: by the price of the node, over a restart, to the ms."""

from pathlib import Path

import grpc
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from easel.admin.v1 import scaling_pb2, scaling_pb2_grpc
from tests.support.builders import a_spec
from tests.support.scheduler_harness import DEADLINE, RunningScheduler, a_scheduler, an_agent
from tests.support.waiting import until

BIG = {"easel/instance-type": "big", "easel/price": "2.5"}


async def used(scheduler: RunningScheduler, *by: str, **asked: object) -> list[scaling_pb2.UsageSum]:
    stub = scaling_pb2_grpc.UsageServiceStub(scheduler.channel)
    request = scaling_pb2.GetUsageRequest(by=by, **asked)  # type: ignore[arg-type]
    return list((await stub.GetUsage(request, timeout=DEADLINE)).sums)


async def test_what_ran_is_counted_over_a_restart_and_grows_no_more_when_it_is_gone(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler, "n1", labels=BIG) as agent:
        await scheduler.create(a_spec(cpu=0.5, workspace_id="lab"))
        (instance,) = await agent.sees(lambda a: list(a.assigned), "an assignment")
        agent.say_ready(instance)
        (before,) = await until(lambda: used(scheduler), "usage that is under way")
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler, "n1", labels=BIG) as agent:
        (after,) = await used(scheduler)
        await agent.sees(lambda a: list(a.assigned), "the same assignment")
        agent.say_ready(instance)
        await scheduler.delete("digits")
        await agent.sees(lambda a: a.assigned and a.assigned[instance].stop, "to be told to stop it")
        agent.say(instance, gone=True)
        await until(lambda: _gone(scheduler), "the service to be gone")
        ended = await used(scheduler)
        again = await used(scheduler)

    assert (after.service, after.workspace, after.instance_type, after.pool) == (
        "digits",
        "lab",
        "big",
        "public",
    )
    assert after.instance_ms > before.instance_ms
    assert after.cpu_milli_ms == 500 * after.instance_ms
    assert after.cost == pytest.approx(2.5 * after.instance_ms / 3_600_000)
    assert ended == again
    assert ended[0].instance_ms >= after.instance_ms


async def _gone(scheduler: RunningScheduler) -> bool:
    return "ServiceDeleted" in await scheduler.event_reasons("digits")


async def test_a_time_that_no_calendar_has_is_refused(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await used(scheduler, begin=Timestamp(seconds=10**15))

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details() == (
        "begin: got '1000000000000000 s', expected a time in the years 1 to 9999"
    )


async def test_what_cannot_be_added_up_by_is_named(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await used(scheduler, "colour")

    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert refused.value.details() == (
        "by: got 'colour', expected one of service, resource_group, instance_type, workspace, pool"
    )
