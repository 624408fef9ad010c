"""How soon services scale themselves when there are many, and what metrics and the autoscaler take meanwhile.

Run as `python -m bench.decisions [--quick] [--json FILE]`. A metrics process and an autoscaler process of
their own follow a scheduler that this bench plays: every service has a policy, and takes requests. Then a
tenth of them is asked for ten times as much, all in the same second. Counted is from the moment at which
Envoy's first message with the new numbers is sent to the moment at which the decision arrives.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from bench.metrics_load import Load, a_load
from bench.metrics_scale import cpu_seconds, push, report
from easel.autoscaler.v1 import autoscaler_pb2, autoscaler_pb2_grpc
from easel.facts.v1 import facts_pb2, facts_pb2_grpc
from libs.rpc.server import Service, serving
from tests.support.metrics_harness import TOKEN, Metrics, metrics_process
from tests.support.waiting import until

# Five instances of each service take ten requests a second: two each, where four are allowed.
POLICY = json.dumps({"min": 1, "max": 100, "scaleStrategies": [{"metricName": "qps", "threshold": 4}]})
_A_CONNECTION = 50
_PATIENCE_S = 30


class Played(facts_pb2_grpc.FactsServiceServicer, autoscaler_pb2_grpc.ScalingServiceServicer):
    """A scheduler: tells what there is, and keeps when each service was decided about first."""

    def __init__(self, facts: facts_pb2.WatchResponse) -> None:
        self._facts = facts
        self._services = {each.name: each for each in facts.services}
        self._followers: set[asyncio.Queue[facts_pb2.WatchResponse]] = set()
        self.decided: dict[str, float] = {}

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[facts_pb2.WatchResponse]:
        news: asyncio.Queue[facts_pb2.WatchResponse] = asyncio.Queue()
        self._followers.add(news)
        try:
            yield self._facts
            while True:
                yield await news.get()
        finally:
            self._followers.discard(news)

    async def Apply(self, request: autoscaler_pb2.ApplyRequest, context: Any) -> autoscaler_pb2.ApplyResponse:
        self.decided.setdefault(request.service, time.monotonic())
        service = self._services[request.service]
        service.wanted = request.wanted
        for news in self._followers:
            news.put_nowait(facts_pb2.WatchResponse(services=[service]))
        return autoscaler_pb2.ApplyResponse(wanted=request.wanted)


@asynccontextmanager
async def playing(played: Played) -> AsyncIterator[str]:
    contracts = [
        Service(
            "easel.facts.v1.FactsService", partial(facts_pb2_grpc.add_FactsServiceServicer_to_server, played)
        ),
        Service(
            "easel.autoscaler.v1.ScalingService",
            partial(autoscaler_pb2_grpc.add_ScalingServiceServicer_to_server, played),
        ),
    ]
    async with serving(contracts, "127.0.0.1:0") as port:
        yield f"127.0.0.1:{port}"


@asynccontextmanager
async def autoscaler(scheduler: str, metrics: Metrics, home: Path) -> AsyncIterator[psutil.Process]:
    """An autoscaler process that runs inside the block."""
    variables = {
        "SCHEDULER": scheduler,
        "METRICS": metrics.address,
        "ADMIN_TOKEN": TOKEN,
        "JOIN_TOKEN": TOKEN,
        "LISTEN": f"unix:{home / 'autoscaler.sock'}",
        "LOG_LEVEL": "ERROR",
    }
    env = {**os.environ, **{f"EASEL_AUTOSCALER_{name}": value for name, value in variables.items()}}
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "services.autoscaler", env=env)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        await asyncio.wait_for(process.wait(), 20)


async def measured(load: Load, seconds: int) -> dict[str, Any]:
    """The figures of one run."""
    async with AsyncExitStack() as owned:
        home = Path(owned.enter_context(tempfile.TemporaryDirectory(prefix="eb-")))
        played = Played(load.facts())
        scheduler = await owned.enter_async_context(playing(played))
        metrics = await owned.enter_async_context(metrics_process(home, scheduler))
        stop, pushed = asyncio.Event(), _Moments()
        streams = [asyncio.create_task(push(metrics, load, stop, pushed.began))]
        for begin in range(0, len(load.nodes), _A_CONNECTION):
            nodes = load.nodes[begin : begin + _A_CONNECTION]
            streams.append(asyncio.create_task(report(metrics, nodes, load, stop)))
        decider = await owned.enter_async_context(autoscaler(scheduler, metrics, home))
        subjects = {"metrics": psutil.Process(metrics.pid), "autoscaler": decider}
        await asyncio.sleep(10)
        before, since = {name: cpu_seconds(each) for name, each in subjects.items()}, time.monotonic()
        await asyncio.sleep(seconds)
        spent = time.monotonic() - since
        cores = {name: (cpu_seconds(each) - before[name]) / spent for name, each in subjects.items()}
        early = len(played.decided)
        load.busy, load.times = max(1, load.services // 10), 10
        stepped = await pushed.next()
        await until(lambda: len(played.decided) - early >= load.busy, "all decisions", _PATIENCE_S)
        rss = {name: each.memory_info().rss / 2**20 for name, each in subjects.items()}
        stop.set()
        await asyncio.gather(*streams)
    late = sorted(at - stepped for at in played.decided.values())
    return {
        "services": load.services,
        "instances": load.instances,
        "stepped": load.busy,
        "decided": len(late) - early,
        "decided_early": early,
        "decision_s": [round(each, 3) for each in late],
        "cpu_cores": cores,
        "rss_mib": rss,
    }


class _Moments:
    """When messages begin to be sent."""

    def __init__(self) -> None:
        self._at = 0.0
        self._came = asyncio.Event()

    def began(self) -> None:
        self._at = time.monotonic()
        self._came.set()

    async def next(self) -> float:
        self._came.clear()
        await self._came.wait()
        return self._at


def table(found: dict[str, Any]) -> str:
    late = found["decision_s"]
    rows = {
        "services with a policy, instances": f"{found['services']:,}, {found['instances']:,}",
        "services that are asked for ten times as much at once": f"{found['stepped']:,}",
        "decided": f"{found['decided']:,}",
        "first numbers sent → decision, median": f"{statistics.median(late):.2f} s",
        "the same, longest": f"{late[-1]:.2f} s",
        "CPU of metrics before that": f"{found['cpu_cores']['metrics']:.2f} cores",
        "CPU of the autoscaler before that": f"{found['cpu_cores']['autoscaler']:.2f} cores",
        "memory of metrics, of the autoscaler": " MiB, ".join(
            f"{found['rss_mib'][name]:,.0f}" for name in ("metrics", "autoscaler")
        )
        + " MiB",
    }
    return "\n".join(("| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--quick", action="store_true", help="few services")
    options.add_argument("--json", type=Path, help="write the raw numbers here")
    given = options.parse_args()
    load = a_load(100, 25) if given.quick else a_load(2_000, 500)
    load.policy = POLICY
    os.environ["EASEL_METRICS_LOG_LEVEL"] = "ERROR"
    found = asyncio.run(measured(load, 5 if given.quick else 30))
    sys.stdout.write(table(found) + "\n")
    if given.json:
        given.json.write_text(json.dumps(found))


if __name__ == "__main__":
    main()
