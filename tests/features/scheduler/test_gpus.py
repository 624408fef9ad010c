"""GPUs from service.json to assignment."""

from pathlib import Path
from typing import Any

from easel.common.v1 import common_pb2
from tests.support.builders import a_spec
from tests.support.scheduler_harness import a_scheduler, an_agent
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
