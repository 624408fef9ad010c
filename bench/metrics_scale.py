"""What metrics takes for a large Easel: its CPU and memory, and how fast it answers about every service.

Run as `python -m bench.metrics_scale [--quick] [--json FILE]`. A metrics process of its own is told, every
second, what one Envoy counts of all services and what the nodes say of their instances; every service takes
requests. Memory is what the process takes at the end, and what it will once all windows were written.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

from bench.metrics_load import Load, a_load
from easel.metrics.v1 import metrics_pb2 as pb
from easel.metrics.v1 import metrics_pb2_grpc as rpc
from libs.rpc.client import dial
from services.metrics.rings import FINE_FOR_S, LONGEST_S
from services.metrics.store import Store
from tests.support.metrics_harness import (
    TOKEN,
    Metrics,
    ScriptedFacts,
    facts_feed,
    metrics_process,
    stream_metrics,
)

MEASURES = ("qps", "concurrency", "rt[p99]", "cpu")
WINDOWS = (3, 60)
# Nodes that share one connection.
_A_CONNECTION = 50


async def measured(load: Load, seconds: int) -> dict[str, Any]:
    """The figures of one run."""
    async with AsyncExitStack() as owned:
        folder = owned.enter_context(tempfile.TemporaryDirectory(prefix="easel-bench-"))
        facts, told = ScriptedFacts(), load.facts()
        facts.tell(services=told.services, nodes=told.nodes, gateways=told.gateways)
        scheduler = await owned.enter_async_context(facts_feed(facts))
        metrics = await owned.enter_async_context(metrics_process(Path(folder), scheduler))
        subject = psutil.Process(metrics.pid)
        stop = asyncio.Event()
        streams = [asyncio.create_task(push(metrics, load, stop))]
        for begin in range(0, len(load.nodes), _A_CONNECTION):
            nodes = load.nodes[begin : begin + _A_CONNECTION]
            streams.append(asyncio.create_task(report(metrics, nodes, load, stop)))
        await asyncio.sleep(5)
        cpu = cpu_seconds(subject)
        began = time.monotonic()
        answers, late = await _watch(metrics, seconds)
        spent = (cpu_seconds(subject) - cpu) / (time.monotonic() - began)
        scrape_s, scrape_mib = await _scrape(metrics)
        rss = subject.memory_info().rss / 2**20
        up = time.monotonic() - began + 5
        stop.set()
        await asyncio.gather(*streams)
    return {
        "services": load.services,
        "instances": load.instances,
        "nodes": len(load.nodes),
        "seconds": seconds,
        "cpu_cores": spent,
        "rss_mib": rss,
        "rss_when_full_mib": rss + _to_be_written(load, up),
        "answer_ms": answers,
        "watch_lateness_ms": late,
        "scrape_s": scrape_s,
        "scrape_mib": scrape_mib,
    }


def cpu_seconds(subject: psutil.Process) -> float:
    """CPU time that a process has used."""
    times = subject.cpu_times()
    return float(times.user + times.system)


async def push(
    metrics: Metrics, load: Load, stop: asyncio.Event, began: Callable[[], None] = lambda: None
) -> None:
    """The stream of the Envoy; `began` is called when a second's message begins."""

    async def messages() -> AsyncIterator[Any]:
        second = 0
        while not stop.is_set():
            starts = time.monotonic()
            began()
            for message in load.of_envoy(second):
                yield message
                await asyncio.sleep(0)
            second += 1
            await asyncio.sleep(max(0.0, starts + 1 - time.monotonic()))

    async with dial(metrics.address, TOKEN) as channel:
        await stream_metrics(channel)(messages())


async def report(metrics: Metrics, nodes: list[str], load: Load, stop: asyncio.Event) -> None:
    """The streams of some nodes, at moments of their own."""

    async def reports(node: str, offset: float) -> AsyncIterator[pb.ReportRequest]:
        await asyncio.sleep(offset)
        second = 0
        while not stop.is_set():
            yield load.node(node, second)
            second += 1
            await asyncio.sleep(1)

    async with dial(metrics.address, TOKEN) as channel:
        stub = rpc.TelemetryServiceStub(channel)
        calls = [stub.Report(reports(node, n / len(nodes))) for n, node in enumerate(nodes)]
        for call in calls:
            await call


async def _watch(metrics: Metrics, seconds: int) -> tuple[list[float], list[float]]:
    """How long answers about all services take, in milliseconds, and how late those of a watch are."""
    selectors = [
        pb.Selector(measure=measure, kind="service", window_s=window)
        for measure in MEASURES
        for window in WINDOWS
    ]
    answers, arrived = [], []
    async with dial(metrics.address, TOKEN) as channel:
        stub = rpc.MetricsServiceStub(channel)
        watch: Any = stub.Watch(pb.WatchRequest(selectors=selectors))
        ends = time.monotonic() + seconds
        async for _ in watch:
            arrived.append(time.monotonic())
            if arrived[-1] > ends:
                break
            began = time.monotonic()
            await stub.Instant(pb.InstantRequest(selectors=selectors))
            answers.append(1000 * (time.monotonic() - began))
        watch.cancel()
    gaps = [1000 * (later - earlier - 1) for earlier, later in pairwise(arrived)]
    return answers, gaps


async def _scrape(metrics: Metrics) -> tuple[float, float]:
    began = time.monotonic()
    response = await metrics.text()
    return time.monotonic() - began, len(response.content) / 2**20


def _to_be_written(load: Load, seconds: float) -> float:
    """What windows take that nothing was written to yet, in MiB: memory is taken when it is first used."""
    store = Store()
    store.services.rows([f"s{n}" for n in range(load.services)])
    store.latency.make_room(load.services)
    store.instances.rows([f"i{n}" for n in range(load.instances)])
    store.nodes.rows(load.nodes)
    kept = (store.services.bytes, store.latency.bytes, store.instances.bytes, store.nodes.bytes)
    fine, coarse = (sum(each[n] for each in kept) / 2**20 for n in (0, 1))
    return fine * max(0, 1 - seconds / FINE_FOR_S) + coarse * max(0, 1 - seconds / LONGEST_S)


def table(found: dict[str, Any]) -> str:
    answers = sorted(found["answer_ms"])
    rows = {
        "services, instances, nodes": "{services:,}, {instances:,}, {nodes:,}".format(**found),
        "CPU": f"{found['cpu_cores']:.2f} cores",
        "memory after the run": f"{found['rss_mib']:,.0f} MiB",
        "memory once all windows are full": f"{found['rss_when_full_mib']:,.0f} MiB",
        f"{len(MEASURES)} measures × {len(WINDOWS)} windows of every service, median": (
            f"{statistics.median(answers):,.0f} ms"
        ),
        "the same, longest": f"{answers[-1]:,.0f} ms",
        "`/metrics`": f"{found['scrape_s']:.2f} s for {found['scrape_mib']:.1f} MiB",
    }
    return "\n".join(("| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--quick", action="store_true")
    options.add_argument("--services", type=int, default=2_000)
    options.add_argument("--nodes", type=int, default=500)
    options.add_argument("--seconds", type=int, default=40)
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    load = a_load(100, 25) if given.quick else a_load(given.services, given.nodes)
    os.environ["EASEL_METRICS_LOG_LEVEL"] = "ERROR"
    found = asyncio.run(measured(load, 5 if given.quick else given.seconds))
    sys.stdout.write(table(found) + "\n")
    if given.json:
        given.json.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
