"""The compose file under its real image names: a service in containers, and crashes nobody notices."""

import asyncio
import re
from collections.abc import Iterator

import httpx
import pytest

from easel_sdk import Easel, EaselError
from easel_sdk.scaling_types import Selector
from tests.e2e.services import TOKEN, a_container_service, call
from tests.support.compose import ComposedEasel, composed_easel
from tests.support.load import steady_load
from tests.support.waiting import until

pytestmark = [pytest.mark.compose, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def easel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ComposedEasel]:
    with composed_easel(tmp_path_factory.mktemp("compose")) as running:
        yield running


@pytest.fixture(scope="module")
def client(easel: ComposedEasel) -> Iterator[Easel]:
    with Easel.of(easel.context) as opened:
        yield opened


@pytest.fixture(scope="module")
def echo(easel: ComposedEasel, client: Easel) -> str:
    """The URL of a service with two instances that answer."""
    client.services.create(a_container_service("echo", "echo.py", instances=2))
    asyncio.run(ready(client, "echo", 2))
    url = f"{easel.context.gateway}/api/predict/echo"
    asyncio.run(until(lambda: call(url).status_code == 200, "a route to echo"))
    return url


async def ready(client: Easel, service: str, count: int) -> None:
    """Waits until the service has just so many ready instances."""
    await until(
        lambda: [i.ready for i in client.instances.list(service=service)] == [True] * count,
        f"{count} ready instances of {service}",
        within=60,
    )


def runs_of(easel: ComposedEasel) -> dict[str, str]:
    """Each instance's container and when it was started."""
    return {c.id: c.attrs["State"]["StartedAt"] for c in easel.instances()}


def scaled(client: Easel, count: int) -> bool:
    """Asks for the size; whether the scheduler took it, down to the database."""
    try:
        return client.services.scale("echo", count).wanted == count
    except EaselError:
        return False


def test_a_service_is_called_through_the_gateway_with_its_token(echo: str) -> None:
    answer, refused = call(f"{echo}/below", content="hello"), call(echo, token="another")

    assert (answer.status_code, answer.json()["path"], answer.json()["body"]) == (200, "/below", "hello")
    assert refused.status_code == 401


def test_the_gateway_listens_at_the_address_that_is_set_alone(easel: ComposedEasel, echo: str) -> None:
    beside = httpx.URL(echo).copy_with(host="127.0.0.2")

    with httpx.Client(trust_env=False) as client, pytest.raises(httpx.ConnectError):
        client.get(beside)


async def test_direct_clients_are_sent_to_the_node_s_own_gateway(easel: ComposedEasel, echo: str) -> None:
    url = f"{easel.context.gateway}/api/v1/servicediscovery/upstreams/echo"

    def ports() -> set[int]:
        return {each["port"] for each in httpx.get(url, timeout=20).json()["endpoints"]["items"]}

    await until(lambda: ports() == {easel.direct_port}, "the node's gateway to be told", within=60)
    answer = call(f"http://127.0.0.1:{easel.direct_port}/api/predict/echo", content="directly")

    assert (answer.status_code, answer.json()["body"]) == (200, "directly")


async def test_what_is_called_is_counted_for_prometheus_and_for_those_who_ask(
    easel: ComposedEasel, client: Easel, echo: str
) -> None:
    counted = re.compile(r'easel_service_requests_total\{.*service="echo".*\} [1-9]')

    def asked() -> dict[str, float]:
        selectors = [Selector(measure, "service", ("echo",)) for measure in ("in_flight", "cpu")]
        return {each.measure: each.value for each in client.metrics.instant(*selectors).values}

    await until(lambda: call(echo) and counted.search(httpx.get(easel.metrics_url).text), "its requests", 60)
    await until(lambda: {"in_flight", "cpu"} <= asked().keys(), "what Envoy and the agent tell of it", 60)
    await until(lambda: "easel_autoscaler_look_seconds" in httpx.get(easel.metrics_url).text, "a look", 60)


async def test_a_service_is_scaled(easel: ComposedEasel, client: Easel, echo: str) -> None:
    first = runs_of(easel)

    client.services.scale("echo", 3)
    await ready(client, "echo", 3)
    assert runs_of(easel).items() > first.items()

    client.services.scale("echo", 2)
    await ready(client, "echo", 2)
    await until(lambda: len(easel.instances()) == 2, "the third container to be gone", within=60)


@pytest.mark.parametrize("killed", ["agent", "scheduler", "postgres", "gateway"])
async def test_a_crash_restarts_no_instance_fails_no_request_and_is_recovered_from(
    easel: ComposedEasel, client: Easel, echo: str, killed: str
) -> None:
    before = runs_of(easel)

    with steady_load(echo, {"Authorization": TOKEN}) as load:
        await load.more()
        await crash(easel, killed)
        await load.more(500)
        await until(lambda: scaled(client, 3), "the scheduler to take a change", within=60)
        await until(lambda: len(load.runs) == 3, "answers of a third instance", within=60)
        after = runs_of(easel)
        await until(lambda: scaled(client, 2), "the scheduler to take a change", within=60)
        await until(lambda: len(easel.instances()) == 2, "one container to be gone", within=60)
        await load.more()

    assert load.failures == []
    assert after.items() > before.items()


async def crash(easel: ComposedEasel, service: str) -> None:
    """Returns when it is back. The gateway's process alone dies: its container holds Envoy."""
    if service == "gateway":
        easel.kill_process("gateway", "services.gateway")
        return
    started = easel.started_at(service)
    easel.kill_container(service)
    await until(lambda: easel.started_at(service) > started, f"the {service} to be back", within=60)


async def test_a_further_host_joins_with_the_scheduler_s_address_and_a_token(
    easel: ComposedEasel, client: Easel
) -> None:
    with easel.further_host("second-host"):
        await until(
            lambda: {node.name for node in client.nodes.list()} == {easel.project, "second-host"},
            "the second node",
            within=60,
        )
    client.nodes.delete("second-host")


@pytest.mark.parametrize(
    "further", [[], ["gpu"], ["traces"], ["monitoring"], ["gpu", "traces", "monitoring"]]
)
def test_the_further_compose_files_fit_the_first(easel: ComposedEasel, further: list[str]) -> None:
    files = ["docker-compose.yml", *(f"docker-compose.{name}.yml" for name in further)]

    easel.compose(*(word for file in files for word in ("-f", file)), "--profile", "agent", "config", "-q")


async def test_a_deleted_service_leaves_no_container(easel: ComposedEasel, client: Easel, echo: str) -> None:
    before = runs_of(easel)
    client.services.create(a_container_service("brief", "echo.py"))
    await ready(client, "brief", 1)

    client.services.delete("brief")

    await until(lambda: len(easel.instances(running=False)) == len(before), "its container to be gone", 60)
    assert runs_of(easel) == before
