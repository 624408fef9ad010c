"""A service that sees and scales itself, in one process as `easel up` starts it: counted exactly over
crashes, grown and shrunk under load, asleep at zero and awake without an error.
"""

import asyncio
import json
import math
import statistics
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from easel_sdk import Easel
from easel_sdk.types import Selector
from tests.e2e.services import TOKEN, a_process_service, call
from tests.support.embedded import EmbeddedEasel, embedded_easel
from tests.support.k6 import Target, arrivals, failures, k6, shared
from tests.support.waiting import until

HEADERS = {"Authorization": TOKEN}


@pytest.fixture(scope="module")
def easel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEasel]:
    with embedded_easel(tmp_path_factory.mktemp("easel")) as running:
        yield running


@pytest.fixture
def client(easel: EmbeddedEasel) -> Iterator[Easel]:
    with Easel.of(easel.context) as opened:
        yield opened


def url(easel: EmbeddedEasel, name: str) -> str:
    return f"{easel.context.gateway}/api/predict/{name}"


def created(easel: EmbeddedEasel, name: str, app: str, more: dict[str, Any], instances: int = 1) -> None:
    """A service.json with more than its metadata, put in force."""
    path = a_process_service(easel.home, name, app, instances, cpu=0.05, memory=64)
    path.write_text(json.dumps({**json.loads(path.read_text()), **more}))
    easel.create(path)


def counted(easel: EmbeddedEasel, service: str) -> float:
    """How many requests of the service were answered with 2xx, as Prometheus is told."""
    text = httpx.get(easel.metrics, timeout=10).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "easel_service_requests_total"
        and (sample.labels["service"], sample.labels["code_class"]) == (service, "2xx")
    )


def reasons(client: Easel, service: str) -> dict[str, str]:
    """The newest sentence of each kind of event."""
    return {each.reason: each.why for each in reversed(client.events.list(service=service))}


def answering(easel: EmbeddedEasel, service: str) -> float:
    """As `counted`, -1 while nobody can be asked."""
    try:
        return counted(easel, service)
    except (httpx.HTTPError, ValueError):
        return -1


async def test_every_request_is_counted_once_over_a_crash_of_metrics_and_gateway(
    easel: EmbeddedEasel, tmp_path: Path
) -> None:
    created(easel, "counted", "numbering.py", {}, instances=2)
    target = Target(url(easel, "counted"), HEADERS)

    with k6(tmp_path, target, {"all": shared(10_000, users=4)}) as run:
        await until(lambda: answering(easel, "counted") > 500, "the first requests to be counted", 30)
        easel.control_plane().kill()
        easel.up()
        requests = await asyncio.to_thread(run.requests)

    assert failures(requests) == []
    await until(lambda: answering(easel, "counted") >= 10_000, "all requests to be counted", 20)
    # What was counted twice would show with the next numbers that arrive.
    call(url(easel, "counted"))
    await until(lambda: answering(easel, "counted") > 10_000, "one more to be counted", 20)
    assert counted(easel, "counted") == 10_001


async def test_the_99th_percentile_is_that_of_the_requests_within_the_stated_bound(
    easel: EmbeddedEasel, client: Easel, tmp_path: Path
) -> None:
    created(easel, "timed", "numbering.py", {})
    # Of fifty requests one takes ten times as long as the others.
    target = Target(f"{url(easel, 'timed')}?ms=40", HEADERS)
    slow = Target(f"{url(easel, 'timed')}?ms=400", HEADERS)

    with (
        k6(tmp_path / "most", target, {"all": arrivals(49, 10)}) as most,
        k6(tmp_path / "some", slow, {"all": arrivals(2, 10)}) as some,
    ):
        requests = [*most.requests(), *some.requests()]

    taken = [each.ms for each in requests]
    true = statistics.quantiles(taken, n=100, method="inclusive")[98]
    last_minute = Selector("rt[p99]", subjects=("timed",), window=timedelta(minutes=1))
    (shown,) = client.metrics.instant(last_minute).values
    # A fifth for the width of a bucket, and what the client's machine adds to each request.
    assert math.isclose(shown.value, true, rel_tol=0.2, abs_tol=15)


async def test_a_step_of_load_is_followed_up_and_down_without_a_failed_request(
    easel: EmbeddedEasel, client: Easel, tmp_path: Path
) -> None:
    down = {"stabilizationWindowSeconds": 3}
    policy = {
        "min": 1,
        "max": 4,
        "scaleStrategies": [{"metricName": "qps", "threshold": 20}],
        "behavior": {"scaleDown": down, "measureSeconds": 5},
    }
    created(easel, "stepped", "numbering.py", {"autoscaler": policy})
    target = Target(f"{url(easel, 'stepped')}?ms=20", HEADERS)
    scenarios = {"calm": arrivals(5, 4), "busy": arrivals(70, 12, 4), "after": arrivals(5, 22, 16)}

    with k6(tmp_path, target, scenarios) as run:
        await until(lambda: client.services.get("stepped").ready == 4, "four instances to be ready", 40)
        await until(lambda: client.services.get("stepped").wanted == 1, "one instance to be wanted", 60)
        requests = await asyncio.to_thread(run.requests)

    assert failures(requests) == []
    history = client.autoscalers.history("stepped")
    assert {each.policy for each in history} <= {"burst", "horizontal"}
    assert all("qps" in each.why for each in history)


async def test_requests_at_a_service_at_zero_wait_for_an_instance_and_those_beyond_the_bound_are_refused(
    easel: EmbeddedEasel, client: Easel
) -> None:
    zero = {"scaleDownGracePeriodSeconds": 1, "holdRequests": 500}
    policy = {
        "min": 0,
        "max": 1,
        "scaleStrategies": [{"metricName": "qps", "threshold": 1000}],
        "behavior": {"onZero": zero},
    }
    created(easel, "sleeper", "numbering.py", {"autoscaler": policy})
    await until(lambda: client.services.get("sleeper").wanted == 0, "the service to fall asleep", 60)
    await until(lambda: client.instances.list(service="sleeper") == [], "its instance to be gone", 30)

    answers = await at_once(url(easel, "sleeper"), 500)

    assert [status for status, _, _ in answers] == [200] * 500
    woke = await until(lambda: reasons(client, "sleeper").get("Woke"), "it to be told how long that took")
    assert "awake after" in woke
    assert "starting" in woke


async def at_once(address: str, count: int) -> list[tuple[int, str, str]]:
    """Status, body and Retry-After of so many requests that are sent together."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=HEADERS) as session:

        async def one() -> tuple[int, str, str]:
            async with session.post(address, data=b"x", timeout=aiohttp.ClientTimeout(60)) as answer:
                return answer.status, await answer.text(), answer.headers.get("Retry-After", "")

        return await asyncio.gather(*(one() for _ in range(count)))
