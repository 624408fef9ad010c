"""GPUs from service.json to assignment."""

from pathlib import Path
from typing import Any

import grpc
import pytest

from easel.admin.v1 import admin_pb2
from easel.agent.v1 import agent_pb2
from easel.common.v1 import common_pb2
from tests.support.builders import a_spec
from tests.support.scheduler_harness import DEADLINE, RunningScheduler, a_gateway, a_scheduler, an_agent
from tests.support.waiting import until


def some_gpus(model: str, count: int, broken: int = 0) -> list[Any]:
    return [
        common_pb2.Gpu(uuid=f"{model}-{n}", index=n, model=model, memory_mib=80_000, healthy=n >= broken)
        for n in range(count)
    ]


async def test_an_instance_gets_as_many_gpus_of_the_model_as_it_asks_for(tmp_path: Path) -> None:
    async with (
        a_scheduler(tmp_path) as scheduler,
        an_agent(scheduler, "small", gpus=some_gpus("NVIDIA A10", 8)),
        an_agent(scheduler, "large", gpus=some_gpus("NVIDIA H200", 3, broken=1)) as large,
    ):
        await scheduler.create(a_spec(gpu=2, gpu_model="H200"))
        (assignment,) = await large.sees(lambda a: list(a.assigned.values()), "an assignment")

    assert set(assignment.gpu_uuids) == {"NVIDIA H200-1", "NVIDIA H200-2"}


async def test_a_service_that_asks_for_more_gpus_than_any_node_has_free_is_told_so(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler, gpus=some_gpus("NVIDIA A10", 1)):
        await scheduler.create(a_spec(gpu=2))

        async def reasons() -> list[str]:
            return list((await scheduler.service("digits")).pending_reasons)

        (sentence,) = await until(reasons, "a reason")

    assert "2 GPUs" in sentence


def a_trouble(uuid: str, **fields: Any) -> agent_pb2.GpuTrouble:
    return agent_pb2.GpuTrouble(uuid=uuid, **{"kind": agent_pb2.GpuTrouble.KIND_XID, "count": 1, **fields})


async def gpu_of(scheduler: RunningScheduler, node: str) -> common_pb2.Gpu:
    request = admin_pb2.GetNodeRequest(name=node)
    return (await scheduler.nodes.GetNode(request, timeout=DEADLINE)).node.gpus[0]


async def test_what_is_on_a_gpu_that_fails_is_replaced_before_it_leaves(tmp_path: Path) -> None:
    async with (
        a_scheduler(tmp_path) as scheduler,
        an_agent(scheduler, "first", gpus=some_gpus("H200", 1)) as first,
        a_gateway(scheduler) as gateway,
    ):
        await scheduler.create(a_spec(gpu=1))
        (old,) = await first.sees(lambda a: list(a.assigned), "an assignment")
        first.say_ready(old)
        await until(lambda: old in gateway.endpoints("digits"), "its route")
        gateway.applied()
        async with an_agent(scheduler, "second", gpus=some_gpus("T4", 1)) as second:
            first.beat(gpu_troubles=[a_trouble("H200-0", xid=79)])
            (new,) = await second.sees(lambda a: list(a.assigned), "the successor")

            assert gateway.endpoints("digits") == {old}
            fenced = await gpu_of(scheduler, "first")
            second.say_ready(new, port=20001)
            await until(lambda: gateway.endpoints("digits") == {new}, "the new route alone")
            assert not first.assigned[old].stop
            gateway.applied()
            await first.sees(lambda a: a.assigned[old].stop, "the order to stop")

    assert fenced.fenced
    assert fenced.why == "fenced: XID 79: the GPU has fallen off the bus"


async def test_a_fence_is_kept_across_restarts_until_it_is_lifted(tmp_path: Path) -> None:
    told = [a_trouble("H200-0", xid=48)]
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler, gpus=some_gpus("H200", 1)) as agent:
        agent.beat(gpu_troubles=told)
        await until(lambda: is_fenced(scheduler), "the fence")
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler, gpus=some_gpus("H200", 1)) as agent:
        agent.beat(gpu_troubles=told)
        await scheduler.create(a_spec(gpu=1))
        await until(lambda: waits(scheduler, "1 GPU unhealthy or fenced"), "why it waits")

        lift = admin_pb2.LiftGpuFenceRequest(node="n1", uuid="H200-0")
        lifted = (await scheduler.nodes.LiftGpuFence(lift, timeout=DEADLINE)).node
        agent.beat(gpu_troubles=told)
        await agent.sees(lambda a: a.assigned, "the assignment")
        events = await scheduler.event_reasons()

    assert not lifted.gpus[0].fenced
    assert [reason for reason in events if reason.startswith("GpuF")] == ["GpuFenced", "GpuFenceLifted"]


async def is_fenced(scheduler: RunningScheduler) -> bool:
    return (await gpu_of(scheduler, "n1")).fenced


async def waits(scheduler: RunningScheduler, why: str) -> bool:
    return any(why in each for each in (await scheduler.service("digits")).pending_reasons)


async def test_an_error_that_a_program_causes_is_an_event_of_its_instance_and_fences_nothing(
    tmp_path: Path,
) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler, gpus=some_gpus("H200", 1)) as agent:
        await scheduler.create(a_spec(gpu=1))
        (instance,) = await agent.sees(lambda a: list(a.assigned), "an assignment")
        trouble = a_trouble("H200-0", xid=31)
        trouble.at.GetCurrentTime()
        for _ in range(3):
            agent.beat(gpu_troubles=[trouble])
        agent.say_ready(instance)
        await until(lambda: is_ready(scheduler), "readiness, told after the heartbeats")

        reasons = await scheduler.event_reasons("digits")
        fenced = await is_fenced(scheduler)

    assert reasons.count("GpuError") == 1
    assert not fenced


async def is_ready(scheduler: RunningScheduler) -> bool:
    return (await scheduler.instances_of("digits"))[0].ready


async def test_a_gpu_is_fenced_by_hand_with_its_reason(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler, gpus=some_gpus("H200", 1)):
        fence = admin_pb2.FenceGpuRequest(node="n1", uuid="H200-0", why="it is noisy")
        node = (await scheduler.nodes.FenceGpu(fence, timeout=DEADLINE)).node
        with pytest.raises(grpc.aio.AioRpcError) as twice:
            await scheduler.nodes.FenceGpu(fence, timeout=DEADLINE)

    assert (node.gpus[0].fenced, node.gpus[0].why) == (True, "fenced: it is noisy")
    assert twice.value.code() is grpc.StatusCode.FAILED_PRECONDITION


async def test_an_instance_goes_where_its_gpu_driver_and_its_cuda_are(tmp_path: Path) -> None:
    spec = a_spec(cuda="11.2") | {"features": {"eas.aliyun.com/gpu-driver-version": "tesla=550.54"}}
    old: dict[str, Any] = {"gpu_driver_version": "535.161.08", "cuda_versions": ["11.2"]}
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler, "old", **old):
        await scheduler.create(spec)
        await until(lambda: waits(scheduler, "1 has no GPU driver 550.54"), "why it waits")
        new: dict[str, Any] = {"gpu_driver_version": "550.54.15", "cuda_versions": ["11.2", "12.4"]}

        async with an_agent(scheduler, "new", **new) as agent:
            await agent.sees(lambda a: a.assigned, "an assignment")


async def test_extra_disk_counts_beside_the_disk_of_a_service(tmp_path: Path) -> None:
    spec = a_spec(disk="60Gi") | {"features": {"eas.aliyun.com/extra-ephemeral-storage": "40Gi"}}
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler):
        await scheduler.create(spec)

        await until(lambda: waits(scheduler, "lacks 100 GiB of disk (most free 97.7 GiB)"), "why it waits")
