"""Every part tells metrics what it counts, whether metrics is there or not."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from easel.metrics.v1 import metrics_pb2_grpc as rpc
from libs.rpc.following import Outage
from libs.rpc.server import Service, serving
from libs.telemetry.reporting import Reporter, Sample, nothing
from services.metrics.components import Said
from services.metrics.store import Store
from services.metrics.telemetry_servicer import TelemetryServicer
from tests.support.waiting import until

SOON = timedelta(milliseconds=20)


@asynccontextmanager
async def metrics(address: str) -> AsyncIterator[Store]:
    store = Store()
    add = partial(rpc.add_TelemetryServiceServicer_to_server, TelemetryServicer(store))
    async with serving([Service("easel.metrics.v1.TelemetryService", add)], address, drain_for=timedelta(0)):
        yield store


@asynccontextmanager
async def reporting(
    address: str, samples: Callable[[], Iterable[Sample]] = nothing, outage: Outage | None = None
) -> AsyncIterator[None]:
    stop = asyncio.Event()
    reporter = Reporter(address, "token", "scheduler", "scheduler", samples, every=SOON, outage=outage)
    task = asyncio.create_task(reporter.run(until=stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


async def heard(store: Store) -> Said:
    await until(store.components.all, "a report")
    return store.components.all()[0]


async def test_a_part_reports_its_numbers_and_those_of_its_process(tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 'metrics.sock'}"
    numbers = [Sample("easel_scheduler_agents", 3.0)]
    async with metrics(address) as store, reporting(address, lambda: numbers):
        said = await heard(store)

    values = {sample.name: sample for sample in said.samples}
    assert values["easel_scheduler_agents"].value == 3.0
    assert values["easel_component_memory_bytes"].value > 0
    assert values["easel_component_cpu_seconds"].labels == {"component": "scheduler", "name": "scheduler"}


async def test_metrics_that_is_away_is_said_once_and_found_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    address = f"unix:{tmp_path / 'metrics.sock'}"
    caplog.set_level("INFO")
    calls = []
    # Here a minute goes by between one look at the clock and the next.
    outage = Outage("scheduler", "metrics", partial(next, count(0.0, 60.0)))
    async with reporting(address, lambda: calls.append(1) or [], outage):
        # Each try makes a report; several were made in vain.
        await until(lambda: len(calls) > 5, "several tries")
        async with metrics(address) as store:
            await heard(store)
            await until(lambda: "metrics is back" in caplog.text, "the part to notice")

    said = [each.message for each in caplog.records if each.message.startswith("metrics ")]
    assert said == ["metrics is away and is dialled again", "metrics is back"]


async def test_numbers_that_cannot_be_told_leave_the_rest(tmp_path: Path) -> None:
    def broken() -> Iterable[Sample]:
        raise ValueError("no")

    address = f"unix:{tmp_path / 'metrics.sock'}"
    async with metrics(address) as store, reporting(address, broken):
        said = await heard(store)

    assert {sample.name for sample in said.samples} == {
        "easel_component_start_timestamp_seconds",
        "easel_component_cpu_seconds",
        "easel_component_memory_bytes",
        "easel_component_open_files",
    }


async def test_a_metrics_that_answers_nothing_holds_up_no_end(tmp_path: Path) -> None:
    class Frozen(rpc.TelemetryServiceServicer):
        async def Report(self, request_iterator: Any, context: Any) -> Any:
            asked.set()
            await asyncio.Event().wait()

    asked, address = asyncio.Event(), f"unix:{tmp_path / 'metrics.sock'}"
    add = partial(rpc.add_TelemetryServiceServicer_to_server, Frozen())
    frozen = serving([Service("easel.metrics.v1.TelemetryService", add)], address, drain_for=timedelta(0))
    async with frozen, reporting(address):
        await asyncio.wait_for(asked.wait(), 10)


async def test_without_an_address_nothing_is_reported() -> None:
    async with reporting(""):
        pass
