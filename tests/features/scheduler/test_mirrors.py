"""Mirrors over the wire: made, told to the gateway, explained, and gone with what they are about."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from easel.admin.v1 import admin_pb2 as pb
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
)
from tests.support.waiting import until


async def put(scheduler: RunningScheduler, ratio: int = 10, compare: float = 0.0) -> pb.Mirror:
    request = pb.PutMirrorRequest(service="main", targets=["shadow"], ratio=ratio, compare=compare)
    return (await scheduler.traffic.PutMirror(request, timeout=DEADLINE)).mirror


async def get(scheduler: RunningScheduler) -> pb.Mirror:
    return (await scheduler.traffic.GetMirror(pb.GetMirrorRequest(service="main"), timeout=DEADLINE)).mirror


async def delete(scheduler: RunningScheduler, service: str) -> None:
    await scheduler.services.DeleteService(pb.DeleteServiceRequest(name=service), timeout=DEADLINE)


@asynccontextmanager
async def two_services(tmp_path: Path) -> AsyncIterator[tuple[RunningScheduler, LinkedAgent, LinkedGateway]]:
    """`main` and `shadow`, each with an instance that is not ready yet."""
    async with (
        a_scheduler(tmp_path) as scheduler,
        an_agent(scheduler) as agent,
        a_gateway(scheduler) as gateway,
    ):
        await scheduler.create(a_spec("main"))
        await scheduler.create(a_spec("shadow"))
        await agent.sees(lambda a: len(a.assigned) == 2, "both instances")
        yield scheduler, agent, gateway


def copies(gateway: LinkedGateway) -> list[tuple[str, int, list[str]]]:
    route = gateway.routes.get("main", gateway_pb2.ServiceRoute())
    return [(m.service, m.ratio, [e.instance for e in m.endpoints]) for m in route.mirrors]


def instance_of(agent: LinkedAgent, service: str) -> str:
    return next(each for each in agent.assigned if each.startswith(f"{service}-"))


async def test_the_gateway_hears_of_a_mirror_and_of_each_change_of_its_target(tmp_path: Path) -> None:
    async with two_services(tmp_path) as (scheduler, agent, gateway):
        await put(scheduler)
        await until(lambda: copies(gateway) == [("shadow", 10, [])], "the mirror")

        shadow = instance_of(agent, "shadow")
        agent.say_ready(shadow)
        await until(lambda: copies(gateway) == [("shadow", 10, [shadow])], "the target's instance")
        await put(scheduler, ratio=0)
        await until(lambda: copies(gateway) == [("shadow", 0, [shadow])], "the pause")

        request = pb.DeleteMirrorRequest(service="main")
        await scheduler.traffic.DeleteMirror(request, timeout=DEADLINE)
        await until(lambda: not copies(gateway), "the mirror to end")
        reasons = await scheduler.event_reasons("main")
        assert reasons.count("MirrorSet") == 2
        assert reasons.count("MirrorDeleted") == 1


async def test_what_keeps_a_target_from_copies_is_said(tmp_path: Path) -> None:
    async with two_services(tmp_path) as (scheduler, agent, _):
        agent.say_ready(instance_of(agent, "main"))

        async def notes() -> list[str]:
            return list((await get(scheduler)).notes)

        await put(scheduler)
        await until(lambda: _all_of(notes, "'shadow' gets no copies: "), "what is missing")

        agent.say_ready(instance_of(agent, "shadow"), port=20001)

        async def nothing() -> bool:
            return not await notes()

        await until(nothing, "nothing to be missing")


async def test_a_deleted_target_ends_a_mirror_and_a_deleted_service_takes_its_own_along(
    tmp_path: Path,
) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create(a_spec("main"))
        await scheduler.create(a_spec("shadow"))
        await put(scheduler)

        await delete(scheduler, "shadow")

        async def told() -> bool:
            return "MirrorTargetGone" in await scheduler.event_reasons("main")

        await until(told, "the event")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await get(scheduler)
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND

        await scheduler.create(a_spec("shadow"))
        await put(scheduler)
        await delete(scheduler, "main")

        async def gone() -> bool:
            listed = await scheduler.traffic.ListMirrors(pb.ListMirrorsRequest(), timeout=DEADLINE)
            return not listed.mirrors

        await until(gone, "the mirror to be gone")


async def test_a_mirror_is_there_after_a_restart(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create(a_spec("main"))
        await scheduler.create(a_spec("shadow"))
        made = await put(scheduler, ratio=25, compare=0.01)
    async with a_scheduler(tmp_path) as scheduler:
        kept = await get(scheduler)

        assert (kept.targets, kept.ratio, kept.compare) == (["shadow"], 25, 0.01)
        assert kept.created_at == made.created_at


async def test_what_a_gateway_found_is_shown_until_it_leaves(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await scheduler.create(a_spec("main"))
        await scheduler.create(a_spec("shadow"))
        await put(scheduler, compare=0.01)

        async def pairs() -> list[int]:
            return [each.pairs for each in (await get(scheduler)).comparisons]

        async with a_gateway(scheduler) as gateway:
            for count in (3, 4):
                found = common_pb2.Comparison(service="main", target="shadow", pairs=count)
                gateway.say(comparisons=gateway_pb2.ComparisonReport(comparisons=[found]))
            await until(lambda: _equal(pairs, [4]), "the newest report")

        await until(lambda: _equal(pairs, []), "it to be forgotten")


async def _all_of(said: Callable[[], Awaitable[list[str]]], beginning: str) -> bool:
    lines = await said()
    return bool(lines) and all(line.startswith(beginning) for line in lines)


async def _equal(asked: Callable[[], Awaitable[list[int]]], wanted: list[int]) -> bool:
    return await asked() == wanted
