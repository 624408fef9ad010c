"""Clients that connect directly: what they are told, and what the gateway of a node does with their calls."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from easel.gateway.v1 import gateway_pb2 as pb
from tests.support.free_ports import free_port
from tests.support.gateway_harness import (
    TOKEN,
    EchoBackend,
    Harness,
    ScriptedScheduler,
    bearer,
    echo_backend,
    harness,
    running_gateway,
    scripted_scheduler,
    service,
    settings_for,
    traffic,
)

DISCOVERY = "/api/v1/servicediscovery/upstreams"
PATHS = [DISCOVERY, "/exported/apis/eas.alibaba-inc.k8s.io/v1/upstreams"]
PLACES = [
    pb.DirectEndpoint(address="10.0.0.1", port=8802, weight=2),
    pb.DirectEndpoint(address="10.0.0.2", port=8802, weight=1),
]


@pytest.mark.parametrize("path", PATHS)
async def test_places_are_told_without_a_token_as_a_list(gateway: Harness, path: str) -> None:
    await gateway.serve(service("svc", direct=PLACES), service("idle"))

    found = await gateway.http.get(f"{gateway.url}{path}/svc?internal=true")
    none = await gateway.http.get(f"{gateway.url}{path}/idle")

    assert (found.status_code, found.headers["content-type"]) == (200, "application/json; charset=utf-8")
    assert found.json() == {
        "endpoints": {
            "items": [
                {"app": "svc", "ip": "10.0.0.1", "port": 8802, "weight": 2},
                {"app": "svc", "ip": "10.0.0.2", "port": 8802, "weight": 1},
            ]
        }
    }
    assert none.json() == {"endpoints": {"items": []}}


async def test_a_group_and_its_members_are_found(gateway: Harness) -> None:
    await gateway.serve(
        service("stable", direct=PLACES, group="chat"), service("canary", direct=PLACES[:1], group="chat")
    )
    members = [pb.GroupMember(service="stable", weight=9), pb.GroupMember(service="canary", weight=1)]
    group = pb.GroupRoute(name="chat", tokens=[TOKEN], members=members)
    await gateway.scheduler.until_applied(gateway.scheduler.set_groups(group))

    async def weights(name: str) -> list[int]:
        answer = await gateway.http.get(f"{gateway.url}{DISCOVERY}/{name}")
        return [each["weight"] for each in answer.json()["endpoints"]["items"]]

    assert await weights("chat") == [4, 1]
    assert await weights("chat.canary") == [2]
    assert await weights("canary") == [2]


async def test_a_service_that_is_not_there_is_404_in_a_sentence(gateway: Harness) -> None:
    await gateway.serve(service("svc"))

    answer = await gateway.http.get(f"{gateway.url}{DISCOVERY}/nobody")

    assert answer.status_code == 404
    assert answer.json()["message"] == "there is no service or group 'nobody' on this gateway"


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/a%0Ab"), ("POST", "/svc")])
async def test_what_asks_for_no_service_is_404_in_a_sentence_too(
    gateway: Harness, method: str, path: str
) -> None:
    answer = await gateway.http.request(method, f"{gateway.url}{DISCOVERY}{path}")

    assert (answer.status_code, answer.json()["code"]) == (404, 404)
    assert answer.json()["message"].startswith("nothing is here")


async def test_a_list_that_did_not_change_is_not_sent_again(gateway: Harness) -> None:
    await gateway.serve(service("svc", direct=PLACES))
    url = f"{gateway.url}{DISCOVERY}/svc"
    tag = (await gateway.http.get(url)).headers["etag"]

    same = await gateway.http.get(url, headers={"If-None-Match": tag})
    await gateway.serve(service("svc", direct=PLACES[:1]))
    other = await gateway.http.get(url, headers={"If-None-Match": tag})

    assert (same.status_code, same.content) == (304, b"")
    assert other.status_code == 200


async def test_places_are_told_while_the_scheduler_is_away(tmp_path: Path) -> None:
    scheduler, port = ScriptedScheduler(), free_port()
    settings = settings_for(tmp_path, f"127.0.0.1:{port}")
    async with AsyncExitStack() as running, httpx.AsyncClient(timeout=20) as http:
        async with scripted_scheduler(scheduler, port):
            await running.enter_async_context(running_gateway(settings))
            await scheduler.until_applied(scheduler.set(service("svc", direct=PLACES)))

        answer = await http.get(f"http://{settings.listen}{DISCOVERY}/svc")

    assert [each["weight"] for each in answer.json()["endpoints"]["items"]] == [2, 1]


async def test_an_envoy_elsewhere_finds_the_answers_over_tcp(tmp_path: Path) -> None:
    async with harness(tmp_path, front_listen=f"127.0.0.1:{free_port()}") as gateway:
        await gateway.serve(service("svc", direct=PLACES))

        answer = await gateway.http.get(f"{gateway.url}{DISCOVERY}/svc")

    assert answer.status_code == 200


async def test_a_service_may_have_paths_like_these_below_its_own(gateway: Harness, echo: EchoBackend) -> None:
    await gateway.serve(service("svc", echo.port))

    answer = await gateway.http.get(f"{gateway.url}/api/predict/svc{DISCOVERY}/x", headers=bearer())

    assert answer.json()["path"] == f"{DISCOVERY}/x"


async def test_the_gateway_of_a_node_says_so_and_where_it_is(tmp_path: Path) -> None:
    async with harness(tmp_path, name="node-1", node="n1", direct_address="10.0.0.1:8802") as gateway:
        (hello,) = gateway.scheduler.hellos

    assert (hello.gateway, hello.node, hello.direct_address) == ("node-1", "n1", "10.0.0.1:8802")


NODE = {"name": "node-here", "node": "here"}


@pytest.fixture
async def on_node(tmp_path: Path) -> AsyncIterator[Harness]:
    async with harness(tmp_path, **NODE) as running:
        yield running


def spread(*places: tuple[str, int]) -> pb.ServiceRoute:
    """A service with instances on these nodes at these ports."""
    instances = [
        pb.Endpoint(instance=f"svc-{port}", address="127.0.0.1", port=port, node=node)
        for node, port in places
    ]
    return service("svc", backends=[pb.Backend(version=1, endpoints=instances)])


async def answered_by(gateway: Harness, count: int = 40) -> Counter[str]:
    url = f"{gateway.url}/api/predict/svc"
    return Counter([(await gateway.http.get(url, headers=bearer())).json()["backend"] for _ in range(count)])


async def test_while_there_are_instances_on_the_node_no_call_leaves_it(on_node: Harness) -> None:
    async with (
        echo_backend("here-1") as first,
        echo_backend("here-2") as second,
        echo_backend("there") as there,
    ):
        await on_node.serve(spread(("here", first.port), ("here", second.port), ("there", there.port)))

        seen = await answered_by(on_node)

    assert seen.keys() == {"here-1", "here-2"}


async def test_instances_leave_and_come_back_to_the_node_without_a_failed_call(on_node: Harness) -> None:
    async with echo_backend("here") as here, echo_backend("there") as there:
        both = spread(("here", here.port), ("there", there.port))
        away = spread(("there", there.port))
        await on_node.serve(both)
        async with traffic(f"{on_node.url}/api/predict/svc") as calls:
            for _ in range(5):
                await on_node.serve(away)
                await calls.more()
                assert (await answered_by(on_node, 5)).keys() == {"there"}
                await on_node.serve(both)
                await calls.more()
                assert (await answered_by(on_node, 5)).keys() == {"here"}

    assert calls.failures == []


async def test_an_instance_on_the_node_that_cannot_be_reached_costs_no_call(on_node: Harness) -> None:
    async with echo_backend("there") as there:
        await on_node.serve(spread(("here", free_port()), ("there", there.port)))
        async with traffic(f"{on_node.url}/api/predict/svc") as calls:
            await calls.more(200)

    assert calls.failures == []


async def test_another_gateway_chooses_among_the_instances_of_all_nodes(gateway: Harness) -> None:
    async with echo_backend("here") as here, echo_backend("there") as there:
        await gateway.serve(spread(("here", here.port), ("there", there.port)))

        assert (await answered_by(gateway)).keys() == {"here", "there"}
