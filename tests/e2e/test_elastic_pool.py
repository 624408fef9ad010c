"""Own nodes, public ones and spot nodes under load: instances spill, come back and give way, and no request
fails."""

import json
import socket
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from easel_sdk import Easel
from tests.e2e.services import TOKEN, a_process_service
from tests.support.embedded import EmbeddedEasel, done, embedded_easel
from tests.support.free_ports import free_range
from tests.support.further_agent import FurtherAgent, further_agent
from tests.support.load import steady_load
from tests.support.waiting import until

SPOT = {"easel/instance-type": "ecs.spot", "easel/price": "0.2", "easel/spot": "true"}
GROUP = {"resource": "gpu_pool", "resource_burstable": True, "resource_rebalancing": True}


@pytest.fixture(scope="module")
def easel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEasel]:
    """Its own node is the public one."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EASEL_SCHEDULER_REBALANCE_EVERY", "PT0.5S")
        with embedded_easel(tmp_path_factory.mktemp("easel")) as running:
            yield running


@pytest.fixture(scope="module")
def taken() -> Iterator[int]:
    """A port that is declared and never given: each instance takes one of its node's own."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        yield int(held.getsockname()[1])


@pytest.fixture(scope="module")
def own(easel: EmbeddedEasel) -> Iterator[FurtherAgent]:
    """A dedicated node with room for two instances."""
    with further_agent(easel, "own", free_range(2), 2, resource_group="gpu_pool") as agent:
        yield agent


def create(
    easel: EmbeddedEasel,
    name: str,
    port: int,
    instances: int,
    cloud: dict[str, Any] | None = None,
    **more: Any,
) -> str:
    """A service of the echo program on a declared port; the URL to call."""
    path = a_process_service(easel.home, name, "echo.py", instances, cpu=0.01, memory=20, **more)
    spec = json.loads(path.read_text())
    spec["containers"][0]["port"] = port
    path.write_text(json.dumps({**spec, "cloud": cloud or {}}))
    easel.create(path)
    return f"{easel.context.gateway}/api/predict/{name}"


def pools(easel: EmbeddedEasel, name: str) -> Counter[str]:
    """How many instances of a service serve in each pool."""
    with Easel.of(easel.context) as client:
        return Counter(i.pool for i in client.instances.list(service=name) if i.ready)


def reasons(easel: EmbeddedEasel, name: str) -> dict[str, str]:
    with Easel.of(easel.context) as client:
        return {event.reason: event.why for event in client.events.list(service=name)}


async def test_instances_spill_into_public_nodes_and_come_back_without_a_failed_request(
    easel: EmbeddedEasel, own: FurtherAgent, taken: int, tmp_path: Path
) -> None:
    await joined(easel, own.name)
    create(easel, "filler", taken, 1, resource="gpu_pool")
    url = create(easel, "elastic", taken, 1, **GROUP)
    assert pools(easel, "elastic") == {"dedicated": 1}

    with steady_load(url, {"Authorization": TOKEN}) as load:
        done(easel.easel("scale", "elastic", "3", "--wait"))
        assert pools(easel, "elastic") == {"dedicated": 1, "public": 2}
        await load.more()

        done(easel.easel("scale", "elastic", "2"))
        await until(lambda: pools(easel, "elastic") == {"dedicated": 1, "public": 1}, "the public one to go")
        await load.more()

        done(easel.easel("delete", "filler", "--wait"))
        await until(lambda: pools(easel, "elastic") == {"dedicated": 2}, "all of them on own nodes", 30)
        await load.more()

    assert load.failures == []
    assert (
        "moves from public nodes to own nodes (gpu_pool), which have room"
        in reasons(easel, "elastic")["Rebalancing"]
    )
    capacity = done(easel.easel("capacity", "elastic", "-o", "json")).stdout
    own_nodes = json.loads(capacity)[0]
    assert (own_nodes["tier"], own_nodes["fits"]) == ("own nodes (gpu_pool)", 0)
    done(easel.easel("delete", "elastic", "--wait"))


async def test_a_spot_node_goes_away_under_load_without_a_failed_request(
    easel: EmbeddedEasel, taken: int
) -> None:
    first_spot = {
        "instances": [{"type": "ecs.spot", "spot_price_limit": 0.5}, {"type": "dedicated_resource"}]
    }
    with further_agent(easel, "spot", free_range(3), 3, labels=json.dumps(SPOT)) as agent:
        await joined(easel, agent.name)
        grace = {"eas.termination_grace_period": 5}
        url = create(easel, "thrifty", taken, 2, {"computing": first_spot}, **grace)
        assert pools(easel, "thrifty") == {"spot": 2}
        refused = easel.easel("node", "reclaim", "spot", "--in", "60s")

        with steady_load(url, {"Authorization": TOKEN}) as load:
            await load.more()
            done(easel.easel("node", "reclaim", "spot", "--in", "60s", "--why", "outbid", "--force"))
            await until(lambda: not instances_on(easel, "spot"), "an empty node", 40)
            agent.vanish()
            await load.more(300)

        assert "is protected until" in refused.stderr
        assert load.failures == []
        assert pools(easel, "thrifty") == {"public": 2}
        done(easel.easel("delete", "thrifty", "--wait"))


async def joined(easel: EmbeddedEasel, node: str) -> None:
    def known() -> bool:
        with Easel.of(easel.context) as client:
            return node in {each.name for each in client.nodes.list()}

    await until(known, f"node {node}")


def instances_on(easel: EmbeddedEasel, node: str) -> int:
    with Easel.of(easel.context) as client:
        return client.nodes.get(node).instances
