"""How long a deployment takes from the call to the first 200 through the gateway, and where the time goes.

Run as `python -m bench.deploy [--quick] [--json FILE]`. A trivial server on the process runtime, and on
Docker where an engine answers and the image is there; in turn with the same server started without Easel.
Then one service is scaled from none to one, again and again: from the agent seeing it ready to its first
request served, through scheduler, database, gateway and Envoy.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.bare import BARE, IMAGE, SERVER, first_200, why_no_docker
from easel_sdk import Easel
from easel_sdk.types import Event, Instance
from tests.support.embedded import embedded_easel
from tests.support.free_ports import free_port

TOKEN = "a-token-of-the-bench"
# Bounds how long a removed instance goes on for requests under way.
KEEPALIVE_MS = 500
STEPS = (
    "call → accepted",
    "→ stored, placed on a node",
    "→ stored, told to the agent, which begins to start it",
    "→ created, started, ready as the agent sees it (with the server's own start)",
    "→ ready as the scheduler hears it",
    "→ stored, routed in Envoy, first 200",
)


@dataclass(frozen=True)
class Bench:
    """One Easel under test."""

    client: Easel
    port: int
    runtime: str

    def spec(self, name: str) -> dict[str, Any]:
        if self.runtime == "docker":
            container = {"command": "python3", "args": ["-c", SERVER.read_text()], "port": 8000}
        else:
            container = {"script": f"{sys.executable} {SERVER}", "port": free_port()}
        return {
            "metadata": {
                **{"name": name, "instance": 1, "cpu": 1, "memory": 256},
                "rpc": {"keepalive": KEEPALIVE_MS},
            },
            "token": TOKEN,
            "containers": [{"image": IMAGE, **container}],
        }

    def first_200(self, name: str) -> float:
        return first_200(self.port, f"/api/predict/{name}", TOKEN)

    def instance(self, name: str) -> Instance:
        return self.client.instances.list(service=name)[0]

    def gone(self, name: str) -> None:
        self.client.services.delete(name)
        ends = time.monotonic() + 60
        while self.client.services.list(containing=name):
            if time.monotonic() > ends:
                raise SystemExit(f"{name} is still there a minute after it was deleted")
            time.sleep(0.05)


@contextmanager
def bench_easel(runtime: str) -> Iterator[Bench]:
    with (
        tempfile.TemporaryDirectory(prefix="eb-") as home,
        embedded_easel(Path(home), "--runtime", runtime) as easel,
        Easel.of(easel.context) as client,
    ):
        yield Bench(client, urlsplit(easel.context.gateway).port or 0, runtime)


def deploy(bench: Bench, name: str) -> list[float]:
    """The seconds that each of STEPS took."""
    spec = bench.spec(name)
    began = time.time()
    bench.client.services.create(spec)
    served = bench.first_200(name)
    instance = bench.instance(name)
    marks = [
        began,
        _at(bench, name, "ServiceCreated"),
        _at(bench, name, "InstanceScheduled"),
        instance.started_at.timestamp() if instance.started_at else served,
        instance.ready_at.timestamp() if instance.ready_at else served,
        _at(bench, name, "InstanceReady"),
        served,
    ]
    bench.gone(name)
    return [after - before for before, after in pairwise(marks)]


def _at(bench: Bench, name: str, reason: str) -> float:
    """When something happened first, as its event tells."""
    events: list[Event] = bench.client.events.list(service=name)
    return min(event.at.timestamp() for event in events if event.reason == reason and event.at)


def from_ready(bench: Bench, times: int) -> list[float]:
    """Seconds from the agent seeing an instance ready to the first request that it serves."""
    name, took = "comes-and-goes", []
    bench.client.services.create(bench.spec(name))
    bench.first_200(name)
    for _ in range(times):
        bench.client.services.scale(name, 0)
        while bench.client.instances.list(service=name):
            time.sleep(0.02)
        bench.client.services.scale(name, 1)
        served = bench.first_200(name)
        ready = bench.instance(name).ready_at
        if ready is not None:
            took.append(served - ready.timestamp())
    bench.gone(name)
    return took


def runtime_rows(runtime: str, deploys: int, cycles: int) -> dict[str, Any]:
    """Everything about one runtime; deployments and bare starts take turns."""
    steps, bare = [], []
    with bench_easel(runtime) as bench:
        deploy(bench, "warm-up")
        BARE[runtime]()
        for number in range(deploys):
            steps.append(deploy(bench, f"deploy-{number}"))
            bare.append(BARE[runtime]())
        ready = from_ready(bench, cycles) if cycles else []
    return {
        "runtime": runtime,
        "deploy_s": [round(sum(each), 4) for each in steps],
        "steps_ms": [[round(step * 1000, 2) for step in each] for each in steps],
        "bare_s": [round(each, 4) for each in bare],
        "ready_to_served_ms": [round(each * 1000, 2) for each in ready],
    }


def quantile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def table(found: list[dict[str, Any]], left_out: dict[str, str]) -> str:
    lines = [
        "| deploy → first 200 | deploys | p50 s | p99 s | bare start → 200, p50 s | p99 s | p50 ÷ bare |",
        "|---|---|---|---|---|---|---|",
    ]
    for each in found:
        ours, bare = each["deploy_s"], each["bare_s"]
        lines.append(
            f"| {each['runtime']} | {len(ours)} | {quantile(ours, 50):.3f} | {quantile(ours, 99):.3f} "
            f"| {quantile(bare, 50):.3f} | {quantile(bare, 99):.3f} "
            f"| {quantile(ours, 50) / quantile(bare, 50):.2f} |"
        )
    lines += [f"| {name} | not measured: {why} | | | | | |" for name, why in left_out.items()]
    names = [each["runtime"] for each in found]
    lines += ["", f"| step (p50 ms, share of the whole) | {' | '.join(names)} |"]
    lines += [f"|---{'|---' * len(names)}|"]
    for number, step in enumerate(STEPS):
        lines.append(f"| {step} | {' | '.join(_share(each, number) for each in found)} |")
    lines += [
        "",
        "| ready at the agent → first request served | times | p50 ms | p99 ms |",
        "|---|---|---|---|",
    ]
    for each in found:
        took = each["ready_to_served_ms"]
        if took:
            lines.append(
                f"| {each['runtime']}, scaled from none to one | {len(took)} "
                f"| {quantile(took, 50):.1f} | {quantile(took, 99):.1f} |"
            )
        new = new_service_ms(each)
        lines.append(
            f"| {each['runtime']}, a new service | {len(new)} "
            f"| {quantile(new, 50):.1f} | {quantile(new, 99):.1f} |"
        )
    return "\n".join(lines)


def new_service_ms(found: dict[str, Any]) -> list[float]:
    """Ready at the agent → first 200 of each deployment."""
    return [each[-2] + each[-1] for each in found["steps_ms"]]


def _share(found: dict[str, Any], number: int) -> str:
    took = quantile([each[number] for each in found["steps_ms"]], 50)
    share = statistics.median(each[number] / sum(each) for each in found["steps_ms"])
    return f"{took:.1f} ({share:.0%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="three of each: proves it works")
    parser.add_argument("--json", type=Path, help="also write the raw numbers to this file")
    arguments = parser.parse_args()
    deploys, cycles = (3, 3) if arguments.quick else (20, 50)
    found, left_out = [runtime_rows("process", deploys, cycles)], {}
    if why := why_no_docker():
        left_out["docker"] = why
    else:
        found.append(runtime_rows("docker", deploys, 0))
    print(table(found, left_out))
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": found, "left_out": left_out}) + "\n")


if __name__ == "__main__":
    main()
