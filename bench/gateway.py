"""What Easel's gateway costs: its Envoy against the same Envoy with one hand-written route, and no proxy.

    python -m bench.gateway [--rounds 9] [--seconds 1] [--json FILE]

Slices of all are interleaved in one run, so that a noisy machine hits all of them alike. Read the ratios.
"plain" has one route and Envoy's defaults; "easel" has the token, the keepalive, retries, outlier ejection
and statistics that every service has; "easel, metrics pushed" sends these statistics on every second as well.
"""

import argparse
import asyncio
import json
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median

from bench.gateway_rig import answering, cpu_seconds, forwarding, gateway_rig, pin, plain_envoy
from bench.metrics_sink import metrics_sink
from services.gateway.routes import Backend, Endpoint, Service, Token, Update
from tests.support.free_ports import free_port

TOKEN = "bench-token-0123456789abcdef"
BODY = "x" * 64
PUSHED = "easel, metrics pushed"


@dataclass(frozen=True)
class Slice:
    """One run of the load generator."""

    requests_per_second: float
    p50_us: float
    p99_us: float
    proxy_cpu_us: float


@dataclass(frozen=True)
class Target:
    """Something to load."""

    name: str
    url: str
    proxy_pid: int | None


def load(target: Target, seconds: int, connections: int) -> Slice:
    """Runs wrk on its own core."""
    before = cpu_seconds(target.proxy_pid) if target.proxy_pid else 0.0
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds}s",
        "--latency",
        "-H",
        f"Authorization: Bearer {TOKEN}",
    ]
    command = [*(["taskset", "-c", "1"] if shutil.which("taskset") else []), *command, target.url]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=seconds + 30).stdout
    after = cpu_seconds(target.proxy_pid) if target.proxy_pid else 0.0
    if "Non-2xx" in text:
        raise SystemExit(f"{target.name}: {re.search(r'Non-2xx.*', text).group(0)}")  # type: ignore[union-attr]
    count = float(re.search(r"(\d+) requests in", text).group(1))  # type: ignore[union-attr]
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))  # type: ignore[union-attr]
    return Slice(rate, _latency(text, "50"), _latency(text, "99"), (after - before) / count * 1e6)


def _latency(text: str, percent: str) -> float:
    found = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s)$", text, re.MULTILINE)
    assert found is not None, text
    return float(found.group(1)) * {"us": 1, "ms": 1e3, "s": 1e6}[found.group(2)]


async def measure(rounds: int, seconds: int, connections: int) -> dict[str, list[Slice]]:
    """All slices, by target."""
    backend_port, plain_port, easel_port, pushing_port, sink_port = (free_port() for _ in range(5))
    endpoint = Endpoint("i-1", "127.0.0.1", backend_port)
    service = Service("svc", (Token(TOKEN),), timedelta(seconds=5), backends=(Backend(1, (endpoint,)),))
    with (
        plain_envoy(answering(backend_port, BODY)) as backend,
        plain_envoy(forwarding(plain_port, backend_port)) as plain,
        metrics_sink(sink_port) as sink,
    ):
        async with (
            gateway_rig(easel_port, Update(1, True, (service,))) as rig,
            gateway_rig(
                pushing_port, Update(1, True, (service,)), metrics=f"127.0.0.1:{sink_port}"
            ) as pushing,
        ):
            await asyncio.sleep(1.5)
            pin(backend, 1)
            pin(sink, 1)
            for pid in (plain, rig.envoy_pid, pushing.envoy_pid):
                pin(pid, 0)
            path = "/api/predict/svc"
            targets = [
                Target("direct", f"http://127.0.0.1:{backend_port}{path}", None),
                Target("plain", f"http://127.0.0.1:{plain_port}{path}", plain),
                Target("easel", f"http://127.0.0.1:{easel_port}{path}", rig.envoy_pid),
                Target(PUSHED, f"http://127.0.0.1:{pushing_port}{path}", pushing.envoy_pid),
            ]
            return await taking_turns(targets, rounds, seconds, connections)


async def taking_turns(
    targets: list[Target], rounds: int, seconds: int, connections: int
) -> dict[str, list[Slice]]:
    """All slices, by target; each round loads every target once, every other one backwards."""
    seen: dict[str, list[Slice]] = {target.name: [] for target in targets}
    for round_number in range(rounds + 1):
        for target in targets if round_number % 2 else targets[::-1]:
            each = await asyncio.to_thread(load, target, seconds, connections)
            if round_number:  # the first round warms up
                seen[target.name].append(each)
    return seen


def report(seen: dict[str, list[Slice]]) -> dict[str, object]:
    """Prints the table; returns what goes to the JSON file."""
    print("| path | requests/s | p50 µs | p99 µs | proxy CPU µs a request | ÷ plain |")
    print("|---|---|---|---|---|---|")
    for name, slices in seen.items():
        ratio = median(
            a.requests_per_second / b.requests_per_second for a, b in zip(slices, seen["plain"], strict=True)
        )
        row = [median(getattr(each, field) for each in slices) for field in Slice.__dataclass_fields__]
        print(f"| {name} | {row[0]:,.0f} | {row[1]:,.0f} | {row[2]:,.0f} | {row[3]:.1f} | {ratio:.2f} |")
    cpu = median(each.proxy_cpu_us for each in seen["plain"]) / median(
        each.proxy_cpu_us for each in seen["easel"]
    )
    rate = median(
        a.requests_per_second / b.requests_per_second
        for a, b in zip(seen["easel"], seen["plain"], strict=True)
    )
    print(f"\neasel ÷ plain: {rate:.3f} in requests a second, {cpu:.3f} in requests per processor second")
    pushed = {
        name: median(
            getattr(a, name) / getattr(b, name) for a, b in zip(seen[PUSHED], seen["easel"], strict=True)
        )
        for name in ("requests_per_second", "p99_us", "proxy_cpu_us")
    }
    print("metrics pushed ÷ not: " + ", ".join(f"{name} {value:.3f}" for name, value in pushed.items()))
    return {
        "machine": platform.platform(),
        "ratio_requests": rate,
        "ratio_cpu": cpu,
        "pushed": pushed,
        "slices": {name: [asdict(each) for each in slices] for name, slices in seen.items()},
    }


def main() -> None:
    """Measures and reports."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--seconds", type=int, default=1)
    options.add_argument("--connections", type=int, default=32)
    options.add_argument("--json", type=Path)
    given = options.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("bench.gateway needs the load generator wrk: install the Debian package wrk")
    result = report(asyncio.run(measure(given.rounds, given.seconds, given.connections)))
    if given.json:
        given.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
