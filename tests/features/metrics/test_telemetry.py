"""What agents and other parts report, over a real stream, on its way into the store."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest

from easel.metrics.v1 import metrics_pb2 as pb
from easel.metrics.v1 import metrics_pb2_grpc as rpc
from libs.rpc.client import dial
from libs.rpc.server import Service, serving
from services.metrics.store import Store
from services.metrics.telemetry_servicer import TelemetryServicer, take_node
from tests.support.waiting import until


class Time:
    """A clock that stands until it is set on."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def store(time: Time) -> Store:
    return Store(now=time)


@asynccontextmanager
async def reporting(store: Store, directory: Path) -> AsyncIterator["rpc.TelemetryServiceAsyncStub"]:
    service = Service(
        "easel.metrics.v1.TelemetryService",
        partial(rpc.add_TelemetryServiceServicer_to_server, TelemetryServicer(store)),
    )
    address = f"unix:{directory / 'metrics.sock'}"
    async with serving([service], address), dial(address, "token") as channel:
        yield rpc.TelemetryServiceStub(channel)


async def told(
    reports: list[pb.ReportRequest], over: asyncio.Event | None = None
) -> AsyncIterator[pb.ReportRequest]:
    for report in reports:
        yield report
    if over is not None:
        await over.wait()


def a_report(*instances: pb.InstanceUse, cores: float = 2) -> pb.NodeReport:
    use = pb.NodeUse(cpu_seconds=10, cpu_cores=cores, memory_used_bytes=5)
    return pb.NodeReport(node="n1", use=use, instances=instances)


def used(seconds: float, **changes: int) -> pb.InstanceUse:
    return pb.InstanceUse(instance="i-1", service="digits", cpu_seconds=seconds, **changes)


def newest(store: Store, column: str, key: str = "i-1") -> float:
    row = store.instances.find(key)
    assert row is not None
    return float(store.instances.newest[store.instances.column(column), row])


def cores_in_use(store: Store, time: Time, seconds: float) -> float:
    window = store.instances.window(seconds, time.seconds)
    row = store.instances.find("i-1")
    return float(window.means[store.instances.column("cpu_seconds"), row])


async def test_a_stream_of_reports_fills_the_store(store: Store, tmp_path: Path) -> None:
    gpu = pb.GpuUse(uuid="GPU-0", model="H100", healthy=True, utilization_percent=42, xids={79: 2})
    node = a_report(used(3, memory_bytes=7, restarts=1, connections=4))
    node.gpus.append(gpu)
    node.custom.add(service="digits", instance="i-1", name="tokens", tags={"model": "a"}, value=5.5)
    component = pb.ComponentReport(component="gateway", name="g", life="x")
    component.samples.add(name="easel_component_open_files", value=9, labels={"component": "gateway"})

    async with reporting(store, tmp_path) as stub:
        said = [pb.ReportRequest(node=node), pb.ReportRequest(component=component)]
        await stub.Report(told(said), timeout=10)

    assert newest(store, "memory_bytes") == 7
    assert newest(store, "connections") == 4
    assert store.gpu_states["GPU-0"].xids == {79: 2}
    [posted] = store.custom.of("i-1")
    assert (posted.name, posted.tags, posted.points.newest[1]) == ("tokens", (("model", "a"),), 5.5)
    [part] = store.components.all()
    assert (part.component, part.samples[0].value) == ("gateway", 9)


async def test_a_report_is_taken_while_its_stream_is_open(store: Store, tmp_path: Path) -> None:
    async with reporting(store, tmp_path) as stub:
        over = asyncio.Event()
        said = [pb.ReportRequest(node=a_report(used(1)))]
        stream = asyncio.ensure_future(stub.Report(told(said, over), timeout=20))

        await until(lambda: "i-1" in store.instances, "the report")
        assert not stream.done()
        over.set()
        await stream


def test_what_was_not_told_is_missing_and_not_zero(store: Store) -> None:
    report = a_report(used(1))
    report.gpus.add(uuid="GPU-0", utilization_percent=0)

    take_node(store, report)

    assert math.isnan(newest(store, "connections"))
    row = store.gpus.find("GPU-0")
    assert row is not None
    newest_of_gpu = dict(zip(store.gpus.columns, store.gpus.newest[:, row], strict=True))
    assert newest_of_gpu["utilization_percent"] == 0
    assert math.isnan(newest_of_gpu["power_watts"])
    assert store.gpu_states["GPU-0"].ecc_corrected is None


def test_cpu_time_counts_from_when_reports_arrive(store: Store, time: Time) -> None:
    take_node(store, a_report(used(100)))
    time.seconds += 2

    take_node(store, a_report(used(103)))

    assert cores_in_use(store, time, 2) == pytest.approx(1.5)


def test_a_program_that_was_started_anew_has_used_what_it_says(store: Store, time: Time) -> None:
    take_node(store, a_report(used(100)))
    time.seconds += 2

    take_node(store, a_report(used(1)))

    assert cores_in_use(store, time, 2) == pytest.approx(0.5)


def test_a_sum_that_was_counted_anew_over_a_whole_life_is_no_growth(store: Store, time: Time) -> None:
    take_node(store, a_report(used(100)))
    time.seconds += 2

    take_node(store, a_report(used(90)))
    time.seconds += 2
    take_node(store, a_report(used(92)))

    assert cores_in_use(store, time, 4) == pytest.approx(0.5)


def test_an_instance_that_a_report_names_twice_counts_once(store: Store) -> None:
    take_node(store, a_report(used(1), used(2)))

    assert newest(store, "cpu_seconds") == 2
