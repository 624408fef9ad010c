"""A service's life as agents and gateways see it."""

from pathlib import Path

import grpc
import pytest

from easel.admin.v1 import admin_pb2
from easel.common.v1 import common_pb2
from tests.support.builders import a_spec
from tests.support.scheduler_harness import DEADLINE, a_gateway, a_scheduler, an_agent
from tests.support.waiting import until


async def test_a_created_service_is_placed_run_and_routed(tmp_path: Path) -> None:
    async with (
        a_scheduler(tmp_path) as scheduler,
        an_agent(scheduler) as agent,
        a_gateway(scheduler) as gateway,
    ):
        await scheduler.create(a_spec(instance=2))
        assigned = await agent.sees(lambda a: len(a.assigned) == 2 and a.assigned, "two assignments")
        for port, instance in enumerate(assigned, start=20000):
            agent.say_ready(instance, port)

        await until(lambda: gateway.endpoints("digits") == set(assigned), "both endpoints routed")

        async def running() -> admin_pb2.Service | None:
            service = await scheduler.service("digits")
            return service if service.state == common_pb2.SERVICE_STATE_RUNNING else None

        service = await until(running, "the service running")
        assert service.endpoint == "http://127.0.0.1:9/api/predict/digits"


async def test_two_processes_on_one_host_get_different_ports(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler) as agent:
        await scheduler.create(a_spec(instance=3))
        assigned = await agent.sees(lambda a: len(a.assigned) == 3 and a.assigned, "three assignments")

        assert len({a.port for a in assigned.values()}) == 3


async def test_an_instance_leaves_traffic_and_every_gateway_applied_that_before_it_is_stopped(
    tmp_path: Path,
) -> None:
    spec = a_spec(instance=2, rpc={"keepalive": 1})
    async with (
        a_scheduler(tmp_path) as scheduler,
        an_agent(scheduler) as agent,
        a_gateway(scheduler) as gateway,
    ):
        await scheduler.create(spec)
        assigned = await agent.sees(lambda a: len(a.assigned) == 2 and a.assigned, "two assignments")
        for port, instance in enumerate(assigned, start=20000):
            agent.say_ready(instance, port)
        await until(lambda: len(gateway.endpoints("digits")) == 2, "both endpoints routed")
        gateway.applied()

        await scheduler.scale("digits", 1)

        await until(lambda: len(gateway.endpoints("digits")) == 1, "one endpoint routed")
        assert not any(a.stop for a in agent.assigned.values())
        gateway.applied()
        stopped = await agent.sees(
            lambda a: [i for i, each in a.assigned.items() if each.stop], "one told to stop"
        )
        assert set(stopped).isdisjoint(gateway.endpoints("digits"))

        agent.say(stopped[0], gone=True)
        await agent.sees(lambda a: len(a.assigned) == 1, "one assignment left")


async def test_a_deleted_service_is_gone_once_its_instances_are(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler) as agent:
        await scheduler.create(a_spec())
        (instance,) = await agent.sees(lambda a: list(a.assigned), "an assignment")
        request = admin_pb2.DeleteServiceRequest(name="digits")
        await scheduler.services.DeleteService(request, timeout=DEADLINE)
        await agent.sees(lambda a: a.assigned[instance].stop, "told to stop")

        agent.say(instance, gone=True)

        async def gone() -> bool:
            listed = await scheduler.services.ListServices(admin_pb2.ListServicesRequest(), timeout=DEADLINE)
            return not listed.services

        await until(gone, "no service left")
        assert (await scheduler.event_reasons("digits"))[-1] == "ServiceDeleted"


async def test_a_name_is_free_again_once_the_service_that_had_it_is_gone(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, an_agent(scheduler) as agent:
        first = await scheduler.create(a_spec(), key="k")
        (instance,) = await agent.sees(lambda a: list(a.assigned), "an assignment")
        request = admin_pb2.DeleteServiceRequest(name="digits")
        await scheduler.services.DeleteService(request, timeout=DEADLINE)

        with pytest.raises(grpc.aio.AioRpcError, match="'digits' is being deleted; create it again once"):
            await scheduler.create(a_spec(), key="k")
        agent.say(instance, gone=True)

        async def again() -> admin_pb2.Service | None:
            try:
                return await scheduler.create(a_spec(), key="k")
            except grpc.aio.AioRpcError:
                return None

        second = await until(again, "the name to be free")
        assert second.id != first.id
        await agent.sees(lambda a: a.assigned and instance not in a.assigned, "only the new instance")


async def test_a_restarted_scheduler_wants_exactly_what_ran_and_speaks_with_a_newer_epoch(
    tmp_path: Path,
) -> None:
    async with (
        a_scheduler(tmp_path) as scheduler,
        an_agent(scheduler) as agent,
        a_gateway(scheduler) as gateway,
    ):
        await scheduler.create(a_spec(instance=2))
        before = await agent.sees(lambda a: len(a.assigned) == 2 and a.assigned, "two assignments")
        for port, instance in enumerate(before, start=20000):
            agent.say_ready(instance, port)
        await until(lambda: len(gateway.endpoints("digits")) == 2, "both endpoints routed")
        epoch, generation = agent.desired and agent.desired.epoch, gateway.generation

    async with a_scheduler(tmp_path) as scheduler, a_gateway(scheduler) as gateway:
        assert gateway.endpoints("digits") == set(before), "routed before any agent is back"
        assert gateway.generation > generation
        async with an_agent(scheduler, running=tuple(before)) as agent:
            assert set(agent.assigned) == set(before)
            assert agent.desired is not None
            assert epoch is not None
            assert agent.desired.epoch > epoch


async def test_what_ran_on_a_lost_node_runs_elsewhere_and_is_stopped_where_it_was(tmp_path: Path) -> None:
    quick = {"node_suspect_after": "PT0.2S", "node_lost_after": "PT0.4S"}
    async with a_scheduler(tmp_path, **quick) as scheduler, an_agent(scheduler, "n1") as n1:
        await scheduler.create(a_spec())
        (instance,) = await n1.sees(lambda a: list(a.assigned), "an assignment")
        async with an_agent(scheduler, "n2") as n2, an_agent(scheduler, "n3") as n3:
            n1.say_ready(instance)

            async def replaced() -> list[str]:
                n2.say("nobody")
                n3.say("nobody")
                return [*n2.assigned, *n3.assigned]

            (successor,) = await until(replaced, "the instance elsewhere")
            assert successor != instance
            async with an_agent(scheduler, "n1", running=(instance,)) as back:
                assert back.assigned[instance].stop
                back.say(instance, gone=True)

                async def forgotten() -> bool:
                    return instance not in [i.id for i in await scheduler.instances_of("digits")]

                await until(forgotten, "the old instance forgotten")


async def test_routes_that_envoy_refuses_become_an_event_that_names_them(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, a_gateway(scheduler) as gateway:
        gateway.refuse("digits", "no such field")

        async def told() -> bool:
            return "RoutesRefused" in await scheduler.event_reasons()

        assert await until(told, "the event")
