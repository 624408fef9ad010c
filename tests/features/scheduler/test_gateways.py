"""Several gateways at one scheduler: who is told what, and who is asked."""

from pathlib import Path
from typing import Any

import grpc
import pytest

from easel.admin.v1 import admin_pb2
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

EDGE = "gw-edge"


async def create_gateway(scheduler: RunningScheduler, name: str = EDGE, **fields: Any) -> admin_pb2.Gateway:
    wanted = admin_pb2.Gateway(name=name, **{"host": "gateway", "port": 18999, **fields})
    request = admin_pb2.CreateGatewayRequest(gateway=wanted)
    return (await scheduler.gateways.CreateGateway(request, timeout=DEADLINE)).gateway


async def update_gateway(scheduler: RunningScheduler, name: str, **fields: Any) -> admin_pb2.Gateway:
    request = admin_pb2.UpdateGatewayRequest(gateway=admin_pb2.Gateway(name=name, **fields), fields=fields)
    return (await scheduler.gateways.UpdateGateway(request, timeout=DEADLINE)).gateway


async def gateway_of(scheduler: RunningScheduler, name: str) -> admin_pb2.Gateway:
    request = admin_pb2.GetGatewayRequest(name=name)
    return (await scheduler.gateways.GetGateway(request, timeout=DEADLINE)).gateway


def on_gateway(name: str, gateway: str, **networking: Any) -> dict[str, Any]:
    return {**a_spec(name), "networking": {"gateway": gateway, **networking}}


async def a_ready_service(
    scheduler: RunningScheduler, agent: LinkedAgent, name: str, port: int = 20000, gateway: str = ""
) -> str:
    """Its only instance, which is ready."""
    await scheduler.create(on_gateway(name, gateway) if gateway else a_spec(name))
    mine = await agent.sees(
        lambda a: [i for i, each in a.assigned.items() if each.service == name], f"an instance of {name}"
    )
    agent.say_ready(mine[0], port)
    return mine[0]


async def refused(call: Any, code: grpc.StatusCode) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    assert caught.value.code() is code
    return caught.value.details() or ""


async def test_a_service_is_told_to_its_own_gateway_and_moves_from_one_to_the_other(tmp_path: Path) -> None:
    async with (
        a_scheduler(tmp_path) as scheduler,
        an_agent(scheduler) as agent,
        a_gateway(scheduler) as shared,
        a_gateway(scheduler, EDGE) as edge,
    ):
        await create_gateway(scheduler)
        await a_ready_service(scheduler, agent, "digits")
        await a_ready_service(scheduler, agent, "letters", 20001, EDGE)
        await until(lambda: set(shared.routes) == {"digits"} and set(edge.routes) == {"letters"})

        request = admin_pb2.UpdateServiceRequest(
            name="digits", spec_json=f'{{"networking": {{"gateway": "{EDGE}"}}}}',
            mode=admin_pb2.UpdateServiceRequest.MODE_MERGE,
        )  # fmt: skip
        await scheduler.services.UpdateService(request, timeout=DEADLINE)

        await until(lambda: not shared.routes and set(edge.routes) == {"digits", "letters"})
        # Dedicated gateways wait for longer, and so do services that say nothing else.
        assert edge.routes["digits"].keepalive_ms == 600_000


async def test_the_gateway_of_a_node_has_what_runs_there_and_clients_are_sent_to_it(tmp_path: Path) -> None:
    async with (
        a_scheduler(tmp_path) as scheduler,
        an_agent(scheduler, "n1") as agent,
        a_gateway(scheduler, public_url="http://10.0.0.9:8800") as shared,
    ):
        await a_ready_service(scheduler, agent, "digits")
        await until(lambda: places(shared, "digits") == [("10.0.0.9", 8800, 1)])

        async with a_gateway(scheduler, "n1", node="n1", direct_address="10.0.0.1:8810") as node:

            def sent_to_it() -> bool:
                node.applied()
                return places(shared, "digits") == [("10.0.0.1", 8810, 1)]

            await until(sent_to_it)
            assert set(node.routes) == {"digits"}
            assert [e.node for b in node.routes["digits"].backends for e in b.endpoints] == ["n1"]


async def test_an_instance_waits_for_every_gateway_that_was_told_of_it_and_for_no_other(
    tmp_path: Path,
) -> None:
    async with (
        a_scheduler(tmp_path) as scheduler,
        an_agent(scheduler, "n1") as agent,
        a_gateway(scheduler) as shared,
        a_gateway(scheduler, EDGE) as other,
        a_gateway(scheduler, "n1", node="n1", direct_address="10.0.0.1:8810") as node,
    ):
        other.applied()
        instance = await a_ready_service(scheduler, agent, "digits")
        await until(lambda: shared.endpoints("digits") and node.endpoints("digits"))
        for gateway in (shared, node):
            gateway.applied()

        await scheduler.scale("digits", 0)
        await until(lambda: not shared.endpoints("digits") and not node.endpoints("digits"))
        shared.applied()
        waiting = await until(lambda: the_why(scheduler, instance, "gateway n1"), "the wait for the node")
        assert "gateway gateway" not in waiting

        node.applied()
        await agent.sees(lambda a: a.assigned[instance].stop, "the order to stop")


async def the_why(scheduler: RunningScheduler, instance: str, words: str) -> str:
    request = admin_pb2.GetInstanceRequest(id=instance)
    why = (await scheduler.instances.GetInstance(request, timeout=DEADLINE)).instance.why
    return why if words in why else ""


def places(gateway: LinkedGateway, service: str) -> list[tuple[str, int, int]]:
    route = gateway.routes.get(service)
    return [(d.address, d.port, d.weight) for d in route.direct] if route else []


async def test_a_dedicated_gateway_is_run_by_the_one_it_names_and_gets_its_settings(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, a_gateway(scheduler, hosts=True) as shared:
        made = await create_gateway(scheduler, workers=2)
        assert (made.connected, made.why) == (False, "the process of gateway 'gateway' does not run it yet")
        (hosted,) = await until(lambda: shared.hosted)
        assert (hosted.name, hosted.port, hosted.workers) == (EDGE, 18999, 2)

        async with a_gateway(scheduler, EDGE) as edge:
            await update_gateway(scheduler, EDGE, body_limit_bytes=-1, allow=["10.0.0.0/8"])

            await until(lambda: edge.settings.no_body_limit)
            assert list(edge.settings.allow) == ["10.0.0.0/8"]
            edge.say(status=gateway_pb2.GatewayStatus(why="port 18999 is taken"))
            found = await until(lambda: the_reason(scheduler, "port 18999 is taken"))
            assert found.connected


async def the_reason(scheduler: RunningScheduler, why: str) -> admin_pb2.Gateway | None:
    found = await gateway_of(scheduler, EDGE)
    return found if found.why == why else None


async def test_a_certificate_goes_to_the_gateway_again_when_its_secret_changes(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, a_gateway(scheduler) as shared:
        await put_secret(scheduler, certificate="CERT 1", key="KEY 1")
        domains = [admin_pb2.GatewayDomain(name="api.example.com", secret="api-tls")]
        await update_gateway(scheduler, "gateway", tls_port=18443, domains=domains)
        await until(lambda: [d.certificate for d in shared.settings.domains] == ["CERT 1"])

        await put_secret(scheduler, certificate="CERT 2", key="KEY 2")

        await until(
            lambda: [(d.certificate, d.key) for d in shared.settings.domains] == [("CERT 2", "KEY 2")]
        )
        delete = scheduler.secrets.DeleteSecret(
            admin_pb2.DeleteSecretRequest(name="api-tls"), timeout=DEADLINE
        )
        assert "gateway gateway" in await refused(delete, grpc.StatusCode.FAILED_PRECONDITION)


async def put_secret(scheduler: RunningScheduler, **values: str) -> None:
    request = admin_pb2.PutSecretRequest(name="api-tls", values=values)
    await scheduler.secrets.PutSecret(request, timeout=DEADLINE)


async def test_a_gateway_is_deleted_only_once_nothing_is_on_it(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await create_gateway(scheduler)
        await scheduler.create(on_gateway("digits", EDGE))
        request = admin_pb2.DeleteGatewayRequest(name=EDGE)

        why = await refused(
            scheduler.gateways.DeleteGateway(request, timeout=DEADLINE), grpc.StatusCode.FAILED_PRECONDITION
        )
        assert why == f"gateway '{EDGE}' has service 'digits'; move or delete what is on it first"

        gone = admin_pb2.DeleteServiceRequest(name="digits")
        await scheduler.services.DeleteService(gone, timeout=DEADLINE)
        await until(lambda: scheduler_has_no_services(scheduler))
        await scheduler.gateways.DeleteGateway(request, timeout=DEADLINE)
        listed = await scheduler.gateways.ListGateways(admin_pb2.ListGatewaysRequest(), timeout=DEADLINE)
        assert [(each.name, each.shared) for each in listed.gateways] == [("gateway", True)]


async def scheduler_has_no_services(scheduler: RunningScheduler) -> bool:
    listed = await scheduler.services.ListServices(admin_pb2.ListServicesRequest(), timeout=DEADLINE)
    return not listed.services


async def test_ports_and_registries_that_cannot_be_are_refused_where_the_spec_is_accepted(
    tmp_path: Path,
) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        await create_gateway(scheduler, tls_port=18500)
        nlb = [{"id": "default", "listener_port": 18600}]
        await scheduler.create(on_gateway("digits", EDGE, nlb=nlb))

        for listener, owner in ((18600, "networking.nlb of service 'digits'"), (18500, f"gateway '{EDGE}'")):
            taken = on_gateway("letters", EDGE, nlb=[{"id": "default", "listener_port": listener}])
            why = await refused(scheduler.create(taken), grpc.StatusCode.INVALID_ARGUMENT)
            assert why == (
                f"networking.nlb[0].listener_port: got {listener}, "
                f"expected a port that is free on its gateway's host; {owner} has it"
            )
        unknown = on_gateway("letters", EDGE, nacos=[{"nacos_id": "lab"}])
        why = await refused(scheduler.create(unknown), grpc.StatusCode.INVALID_ARGUMENT)
        assert why.startswith("networking.nacos[0].nacos_id: got 'lab', expected a known registry")


async def test_a_registry_goes_to_the_gateway_with_its_login_and_stays_while_it_is_used(
    tmp_path: Path,
) -> None:
    async with a_scheduler(tmp_path) as scheduler, a_gateway(scheduler) as shared:
        login = admin_pb2.PutSecretRequest(name="lab-login", values={"user": "easel", "password": "pass"})
        await scheduler.secrets.PutSecret(login, timeout=DEADLINE)
        lab = admin_pb2.Registry(id="lab", kind="nacos", url="http://nacos:8848", secret="lab-login")
        request = admin_pb2.PutRegistryRequest(registry=lab)
        await scheduler.gateways.PutRegistry(request, timeout=DEADLINE)
        await scheduler.create({**a_spec(), "networking": {"nacos": [{"nacos_id": "lab"}]}})

        route = await until(lambda: shared.routes.get("digits"))
        (registration,) = route.registrations
        assert (registration.url, registration.user, registration.password, registration.service_name) == (
            "http://nacos:8848", "easel", "pass", "digits",
        )  # fmt: skip
        why = await refused(
            scheduler.gateways.DeleteRegistry(admin_pb2.DeleteRegistryRequest(id="lab"), timeout=DEADLINE),
            grpc.StatusCode.FAILED_PRECONDITION,
        )
        assert why == "digits is written to registry 'lab'; change that first"


async def test_a_registrys_login_stands_in_no_address(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler:
        lab = admin_pb2.Registry(id="lab", kind="nacos", url="http://easel:pass@nacos:8848")
        request = admin_pb2.PutRegistryRequest(registry=lab)
        why = await refused(
            scheduler.gateways.PutRegistry(request, timeout=DEADLINE), grpc.StatusCode.INVALID_ARGUMENT
        )

        assert why.startswith("url: got one with a login")
        assert "pass@" not in why


async def test_the_gateway_of_the_address_says_what_would_become_of_a_request(tmp_path: Path) -> None:
    async with (
        a_scheduler(tmp_path) as scheduler,
        a_gateway(scheduler) as shared,
        a_gateway(scheduler, EDGE, public_url="http://edge.example:8900") as edge,
    ):
        await create_gateway(scheduler)
        created = await scheduler.create(on_gateway("digits", EDGE))
        assert created.gateway == EDGE
        edge.answers = lambda question: common_pb2.RouteExplanation(why=f"{question.host} {question.path}")

        by_url = await explained(scheduler, "http://edge.example:8900/api/predict/other?x=1")
        by_path = await explained(scheduler, "/api/predict/digits", with_token=True)

        assert by_url == "edge.example:8900 /api/predict/other?x=1"
        assert by_path == "edge.example:8900 /api/predict/digits"
        assert edge.questions[-1].headers["authorization"]
        assert not shared.questions


async def test_what_another_gateway_has_is_said_to_be_there_and_tokens_are_called_by_their_names(
    tmp_path: Path,
) -> None:
    async with a_scheduler(tmp_path) as scheduler, a_gateway(scheduler) as shared:
        await create_gateway(scheduler)
        await scheduler.create(on_gateway("digits", EDGE))
        await scheduler.create(a_spec("letters"))
        shared.answers = lambda question: common_pb2.RouteExplanation(
            status=404 if "digits" in question.path else 0,
            why="no service answers here",
            token="service:letters",
            steps=["the token 'service:letters' opens it, plain"],
        )
        url = "http://127.0.0.1:9/api/predict/"

        assert await explained(scheduler, f"{url}digits") == (
            f"service 'digits' is on gateway '{EDGE}', not on this one"
        )
        request = admin_pb2.ExplainRouteRequest(url=f"{url}letters", from_address="::ffff:10.0.0.7")
        found = (await scheduler.traffic.ExplainRoute(request, timeout=DEADLINE)).explanation

        assert (found.token, list(found.steps)) == (
            "default",
            ["the token 'default' of service letters opens it, plain"],
        )
        asked = shared.questions[-1]
        assert (asked.from_address, asked.scheme) == ("10.0.0.7", "http")
        request.from_address = "home"
        why = await refused(
            scheduler.traffic.ExplainRoute(request, timeout=DEADLINE), grpc.StatusCode.INVALID_ARGUMENT
        )
        assert why == "from_address: got 'home', expected an IP address such as 10.0.0.7"


async def test_a_gateway_that_does_not_answer_a_question_is_named(tmp_path: Path) -> None:
    async with a_scheduler(tmp_path) as scheduler, a_gateway(scheduler):
        why = await refused(explained(scheduler, "/api/predict/digits"), grpc.StatusCode.DEADLINE_EXCEEDED)
        assert why == "gateway 'gateway' did not answer within 2 s"

        lost = explained(scheduler, "http://nowhere.example/api/predict/digits")
        assert "expected an address of a gateway" in await refused(lost, grpc.StatusCode.INVALID_ARGUMENT)


async def explained(scheduler: RunningScheduler, url: str, with_token: bool = False) -> str:
    request = admin_pb2.ExplainRouteRequest(url=url, with_token=with_token)
    return (await scheduler.traffic.ExplainRoute(request, timeout=DEADLINE)).explanation.why


async def test_numbers_are_asked_for_once_and_a_silent_gateway_is_named(tmp_path: Path) -> None:
    async with (
        a_scheduler(tmp_path) as scheduler,
        an_agent(scheduler, "n1") as agent,
        a_gateway(scheduler) as shared,
        a_gateway(scheduler, "n1", node="n1", direct_address="10.0.0.1:8810") as node,
    ):
        await a_ready_service(scheduler, agent, "digits")
        await until(lambda: node.endpoints("digits"))
        counted = common_pb2.ServiceTraffic(service="digits", version=1, requests=7)
        shared.counts = [counted]

        request = admin_pb2.GetTrafficRequest(service="digits")
        answer = await scheduler.traffic.GetTraffic(request, timeout=DEADLINE)

        assert [(each.version, each.requests) for each in answer.versions] == [(1, 7)]
        assert list(answer.notes) == ["gateway 'n1' was not counted: it did not answer in time"]
        await until(lambda: not shared.watched and not node.watched, "the end of the questions")
