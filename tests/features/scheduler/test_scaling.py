"""Policies of size over the admin API, decisions that are carried out, and services that sleep."""

import json
from pathlib import Path
from typing import Any

import grpc
import pytest

from easel.admin.v1 import admin_pb2, scaling_pb2, scaling_pb2_grpc
from easel.autoscaler.v1 import autoscaler_pb2, autoscaler_pb2_grpc
from easel.common.v1 import common_pb2
from easel.gateway.v1 import gateway_pb2
from tests.support.builders import a_spec
from tests.support.scheduler_harness import (
    DEADLINE,
    LinkedAgent,
    LinkedGateway,
    RunningScheduler,
    a_gateway,
    a_scheduler,
    an_agent,
    followed_facts,
)
from tests.support.waiting import until

QPS = {"scaleStrategies": [{"metricName": "qps", "threshold": 10}]}
SCHEDULE = {"ScaleJobs": [{"Name": "day", "Schedule": "0 0 8 * * *", "TargetSize": 5}]}


class Policies:
    """The calls about policies of one service."""

    def __init__(self, scheduler: RunningScheduler) -> None:
        self.admin = scaling_pb2_grpc.AutoscalerServiceStub(scheduler.channel)
        self._scaling = autoscaler_pb2_grpc.ScalingServiceStub(scheduler.channel)

    async def set(self, **policy: Any) -> scaling_pb2.SetAutoscalerResponse:
        request = scaling_pb2.SetAutoscalerRequest(service="digits", policy_json=json.dumps(policy))
        return await self.admin.SetAutoscaler(request, timeout=DEADLINE)

    async def get(self) -> scaling_pb2.Autoscaler:
        request = scaling_pb2.GetAutoscalerRequest(service="digits")
        return (await self.admin.GetAutoscaler(request, timeout=DEADLINE)).autoscaler

    async def history(self) -> list[scaling_pb2.Scaling]:
        request = scaling_pb2.ListScalingsRequest(service="digits")
        return list((await self.admin.ListScalings(request, timeout=DEADLINE)).scalings)

    async def apply(self, wanted: int, policy: str = "horizontal", **fields: Any) -> int:
        known = await self.get()
        expected = {"expected_wanted": known.wanted, "autoscaler_revision": known.revision, **fields}
        request = autoscaler_pb2.ApplyRequest(
            service="digits", wanted=wanted, policy=policy, why=f"{policy} says {wanted}", **expected
        )
        return (await self._scaling.Apply(request, timeout=DEADLINE)).wanted


async def test_a_policy_is_set_shown_listed_and_removed(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create(a_spec())
        policies = Policies(scheduler)

        done = await policies.set(min=2, max_replica=4, **QPS)

        assert done.autoscaler.wanted == 2
        assert "did you mean autoscaler.max?" in done.warnings[0]
        service = await scheduler.service("digits")
        assert (service.wanted, service.autoscaler_enabled) == (2, True)
        listed = await policies.admin.ListAutoscalers(scaling_pb2.ListAutoscalersRequest(), timeout=DEADLINE)
        assert [each.service for each in listed.autoscalers] == ["digits"]
        assert listed.autoscalers[0].last.policy == "user"
        await policies.admin.DeleteAutoscaler(
            scaling_pb2.DeleteAutoscalerRequest(service="digits"), timeout=DEADLINE
        )
        with pytest.raises(grpc.aio.AioRpcError, match="service 'digits' has no autoscaler"):
            await policies.get()


async def test_a_policy_that_makes_no_sense_is_refused_with_its_bound(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create(a_spec())

        with pytest.raises(grpc.aio.AioRpcError, match=r"at least autoscaler\.min, 5") as refused:
            await Policies(scheduler).set(min=5, max=3)

        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_schedule_is_set_shown_and_removed(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create(a_spec())
        admin = Policies(scheduler).admin
        request = scaling_pb2.SetCronscalerRequest(service="digits", policy_json=json.dumps(SCHEDULE))

        done = await admin.SetCronscaler(request, timeout=DEADLINE)

        (job,) = done.cronscaler.jobs
        assert (job.name, job.state, job.target_size, job.time_zone) == ("day", "Submitted", 5, "UTC")
        assert job.next_run_at.ToDatetime().hour == 8
        assert (await scheduler.service("digits")).cronscaler_enabled
        listed = await admin.ListCronscalers(scaling_pb2.ListCronscalersRequest(), timeout=DEADLINE)
        assert [each.service for each in listed.cronscalers] == ["digits"]
        gone = scaling_pb2.DeleteCronscalerRequest(service="digits")
        await admin.DeleteCronscaler(gone, timeout=DEADLINE)
        with pytest.raises(grpc.aio.AioRpcError, match="service 'digits' has no schedule"):
            await admin.GetCronscaler(scaling_pb2.GetCronscalerRequest(service="digits"), timeout=DEADLINE)


async def test_policies_of_a_document_are_followed_kept_over_a_restart_and_gone_with_the_service(
    tmp_path: Path,
) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create({**a_spec(), "autoscaler": {"max": 4, **QPS}, "cronScaler": SCHEDULE})
        async with followed_facts(scheduler) as facts:
            told = facts.services["digits"]
            assert json.loads(told.autoscaler_json) == {"max": 4, **QPS}
            assert [job.name for job in told.cron_jobs] == ["day"]
            assert told.autoscaler_revision == 1

    async with a_scheduler(tmp_path) as scheduler, followed_facts(scheduler) as facts:
        assert facts.services["digits"].autoscaler_json
        await scheduler.delete("digits")
        await until(lambda: "digits" not in facts.services, "the service gone")
        await scheduler.create(a_spec())
        assert not (await scheduler.service("digits")).autoscaler_enabled


async def test_a_decision_is_carried_out_and_is_the_history(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler) as agent:
        await scheduler.create(a_spec())
        policies = Policies(scheduler)
        await policies.set(**QPS)

        assert await policies.apply(3, metric="qps", value=28.5, threshold=10) == 3

        await agent.sees(lambda a: len(a.assigned) == 3, "three assignments")
        await scheduler.scale("digits", 2)
        by_hand, decided = await policies.history()
        assert (decided.before, decided.after, decided.policy) == (1, 3, "horizontal")
        assert (decided.metric, decided.value, decided.threshold) == ("qps", 28.5, 10)
        assert (by_hand.before, by_hand.after, by_hand.policy) == (3, 2, "user")
        assert by_hand.why.endswith("its autoscaler may change it again")
        with pytest.raises(grpc.aio.AioRpcError, match="wanted instances by now") as stale:
            await policies.apply(5, expected_wanted=3)
        # As many as a policy may allow.
        with pytest.raises(grpc.aio.AioRpcError, match="instances: got 3001, expected at most 3000"):
            await scheduler.scale("digits", 3001)
        assert stale.value.code() is grpc.StatusCode.ABORTED


async def test_who_scales_down_names_those_that_go(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler) as agent, a_gateway(scheduler):
        await scheduler.create(a_spec(instance=3))
        await _all_ready(agent, 3)
        await until(lambda: _is_running(scheduler), "the service running")
        first = sorted(each.id for each in await scheduler.instances_of("digits"))[0]

        def request(*named: str) -> admin_pb2.ScaleServiceRequest:
            return admin_pb2.ScaleServiceRequest(name="digits", instances=2, instances_to_delete=named)

        with pytest.raises(grpc.aio.AioRpcError, match="an instance of service 'digits'"):
            await scheduler.services.ScaleService(request("digits-nobody"), timeout=DEADLINE)
        await scheduler.services.ScaleService(request(first), timeout=DEADLINE)

        async def leaves() -> list[str]:
            terminating = common_pb2.INSTANCE_STATE_TERMINATING
            return [i.id for i in await scheduler.instances_of("digits") if i.state == terminating]

        assert await until(leaves, "an instance leaving") == [first]


async def test_a_service_sleeps_holds_and_wakes(tmp_path: Path) -> None:
    async with (
        a_scheduler(tmp_path) as scheduler,
        an_agent(scheduler) as agent,
        a_gateway(scheduler) as gateway,
    ):
        await scheduler.create({**a_spec(), "autoscaler": {"min": 0, **QPS}})
        (first,) = await _all_ready(agent, 1)
        await until(lambda: gateway.endpoints("digits"), "the endpoint")
        assert gateway.routes["digits"].hold.requests == 1000
        policies = Policies(scheduler)

        await policies.apply(0, "zero")

        await until(lambda: not gateway.endpoints("digits"), "no endpoint any more")
        assert gateway.routes["digits"].HasField("hold")
        assert [backend.version for backend in gateway.routes["digits"].backends] == [1]
        gateway.applied()
        await agent.sees(lambda a: a.assigned[first].stop, "the stop")
        assert agent.assigned[first].drain_ms == 3_600_000
        agent.say(first, gone=True)
        await until(lambda: _is_asleep(scheduler), "the service asleep")

        _says(gateway, requests=2)
        await until(lambda: _waits(scheduler, 2), "two requests known to wait")
        await policies.apply(1, "zero")
        (second,) = await agent.sees(lambda a: [i for i in a.assigned if i != first], "the assignment")
        phases = [common_pb2.StartPhase(name="starting", seconds=0.5)]
        agent.say(
            second,
            state=common_pb2.INSTANCE_STATE_RUNNING,
            ready=True,
            address="127.0.0.1",
            port=20000,
            phases=phases,
        )
        await until(lambda: gateway.endpoints("digits") == {second}, "the endpoint again")
        _says(gateway, requests=0, released=2, waited_s=0.9, routing_s=0.02)

        async def woke() -> bool:
            return "Woke" in await scheduler.event_reasons("digits")

        await until(woke, "the event of waking")
        (instance,) = await scheduler.instances_of("digits")
        assert [phase.name for phase in instance.phases] == ["placing", "starting"]


async def test_a_stopped_service_holds_nothing(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, a_gateway(scheduler) as gateway:
        await scheduler.create({**a_spec(), "autoscaler": {"min": 0, **QPS}})
        await until(lambda: "digits" in gateway.routes and gateway.routes["digits"].HasField("hold"), "hold")

        request = admin_pb2.StopServiceRequest(name="digits")
        await scheduler.services.StopService(request, timeout=DEADLINE)

        await until(lambda: not gateway.routes["digits"].HasField("hold"), "no hold")
        policies = Policies(scheduler)
        with pytest.raises(grpc.aio.AioRpcError, match="is stopped"):
            await policies.apply(3)


async def _all_ready(agent: LinkedAgent, count: int) -> list[str]:
    placed = await agent.sees(lambda a: len(a.assigned) == count and list(a.assigned), "assignments")
    for port, instance in enumerate(placed, start=20000):
        agent.say_ready(instance, port)
    return placed


async def _is_running(scheduler: RunningScheduler) -> bool:
    return (await scheduler.service("digits")).state == common_pb2.SERVICE_STATE_RUNNING


async def _is_asleep(scheduler: RunningScheduler) -> bool:
    service = await scheduler.service("digits")
    running = service.state == common_pb2.SERVICE_STATE_RUNNING
    return running and service.why == "asleep: no instance until a request comes"


async def _waits(scheduler: RunningScheduler, requests: int) -> bool:
    return (await scheduler.service("digits")).waiting == requests


def _says(gateway: LinkedGateway, **level: Any) -> None:
    told = gateway_pb2.ServiceWaiting(service="digits", **level)
    gateway.say(waiting=gateway_pb2.Waiting(services=[told]))
