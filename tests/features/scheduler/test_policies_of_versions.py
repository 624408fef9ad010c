"""Policies of size that come with versions, over the admin API: tried, failed, and gone back from."""

import json
from dataclasses import replace
from pathlib import Path

from easel.admin.v1 import admin_pb2, scaling_pb2, scaling_pb2_grpc
from easel.common.v1 import common_pb2
from libs.db.migrate import migrate
from tests.support.builders import a_service, a_spec, a_version
from tests.support.old_database import fill
from tests.support.scheduler_harness import DEADLINE, RunningScheduler, a_scheduler, an_agent
from tests.support.waiting import until

QPS = {"scaleStrategies": [{"metricName": "qps", "threshold": 10}]}
SET = {**QPS, "max": 7}


async def policy_of(scheduler: RunningScheduler) -> object:
    stub = scaling_pb2_grpc.AutoscalerServiceStub(scheduler.channel)
    request = scaling_pb2.GetAutoscalerRequest(service="digits")
    return json.loads((await stub.GetAutoscaler(request, timeout=DEADLINE)).autoscaler.policy_json)


async def test_a_policy_that_was_set_outlives_a_version_that_fails_and_a_restart(tmp_path: Path) -> None:
    rolling = {"rolling_strategy": {"auto_rollback": True}}
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler) as agent:
        await scheduler.create({**a_spec(**rolling), "autoscaler": QPS})
        (first,) = await agent.sees(lambda a: list(a.assigned), "the first instance")
        agent.say_ready(first)

        async def running() -> bool:
            return (await scheduler.service("digits")).state == common_pb2.SERVICE_STATE_RUNNING

        await until(running, "the service running")
        stub = scaling_pb2_grpc.AutoscalerServiceStub(scheduler.channel)
        policy = scaling_pb2.SetAutoscalerRequest(service="digits", policy_json=json.dumps(SET))
        await stub.SetAutoscaler(policy, timeout=DEADLINE)
        change = json.dumps({"metadata": {"cpu": 2}, "autoscaler": {**QPS, "max": 3}})
        merge = admin_pb2.UpdateServiceRequest.MODE_MERGE
        update = admin_pb2.UpdateServiceRequest(name="digits", spec_json=change, mode=merge)
        await scheduler.services.UpdateService(update, timeout=DEADLINE)
        assert await policy_of(scheduler) == {**QPS, "max": 3}

    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler) as agent:
        (second,) = await agent.sees(lambda a: [i for i in a.assigned if i != first], "its successor")
        agent.say_ready(first)
        agent.say(second, state=common_pb2.INSTANCE_STATE_CRASH_LOOP_BACK_OFF, restarts=3, why="exited")

        async def back() -> bool:
            return (await scheduler.service("digits")).version == 1

        await until(back, "the way back")
        assert await policy_of(scheduler) == SET
        assert "PolicyPutBack" in await scheduler.event_reasons("digits")


async def test_a_policy_that_an_earlier_release_stored_is_in_force_from_the_first_start(
    tmp_path: Path,
) -> None:
    url = f"sqlite:///{tmp_path}/easel.db"
    await migrate(url, "0003")
    old = a_version(spec={**a_spec(), "autoscaler": SET})
    await fill(url, [replace(each, revision=1) for each in (a_service(), old)])

    async with a_scheduler(tmp_path, database_url=url) as scheduler:
        assert await policy_of(scheduler) == SET
        assert await scheduler.event_reasons("digits") == ["AutoscalerSet"]
