"""What the gateway's features cost: all of them on, against other proxies that do the same work.

    python -m bench.features [--rounds 9] [--seconds 1] [--json FILE]

"all on" is a request to a group: its token, two members by weight, a mirror of 1 %, a rate and a concurrency
limit that are never reached, a keepalive, a line of JSON a request, a span for 1 % of them. Slices of all
targets are interleaved in one run, so that a noisy machine hits all of them alike; the proxies are on one
core, the load and the backend on another. Read the ratios.
"""

import argparse
import asyncio
import json
import platform
import shutil
import sys
import tempfile
from contextlib import AsyncExitStack
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from statistics import median

from bench.gateway import BODY, TOKEN, Slice, Target, taking_turns
from bench.gateway_rig import answering, forwarding, gateway_rig, pin, plain_envoy
from bench.rivals import haproxy, missing, naive_envoy, nginx
from services.gateway.routes import (
    Backend,
    Endpoint,
    Group,
    GroupMember,
    Limits,
    Mirror,
    Service,
    Token,
    Update,
)
from tests.support.free_ports import free_port

# Never reached.
_MUCH = 1_000_000


def everything(backend_port: int) -> Update:
    """A service with nothing but its token and keepalive, and a group of two with all features on."""
    endpoint = Endpoint("i-1", "127.0.0.1", backend_port)
    backends, tokens = (Backend(1, (endpoint,)),), (Token(TOKEN, "service:svc"),)
    copied = (Mirror("copy", 1, (endpoint,)),)
    members = [
        Service(
            name,
            tokens,
            timedelta(seconds=5),
            backends=backends,
            limits=Limits(rate=_MUCH, concurrency=_MUCH),
            mirrors=copied,
            group="all",
        )
        for name in ("stable", "canary")
    ]
    shares = (GroupMember("stable", 90), GroupMember("canary", 10))
    return Update(
        1,
        True,
        (Service("svc", tokens, timedelta(seconds=5), backends=backends), *members),
        groups=(Group("all", (Token(TOKEN, "group:all"),), shares),),
    )


async def measure(rounds: int, seconds: int, connections: int) -> dict[str, list[Slice]]:
    """All slices, by target."""
    async with AsyncExitStack() as owned:
        backend_port = free_port()
        backend = owned.enter_context(plain_envoy(answering(backend_port, BODY)))
        ports = {name: free_port() for name in ("plain", "lean", "full", "naive", *_RIVALS)}
        home = Path(owned.enter_context(tempfile.TemporaryDirectory(prefix="easel-bench-")))
        lean = await owned.enter_async_context(gateway_rig(ports["lean"], everything(backend_port)))
        full = await owned.enter_async_context(
            gateway_rig(
                ports["full"],
                everything(backend_port),
                access_log=home / "access.json",
                otlp_endpoint=f"http://127.0.0.1:{backend_port}",
                trace_percent=1.0,
            )
        )
        pids = {
            "plain": owned.enter_context(plain_envoy(forwarding(ports["plain"], backend_port))),
            "naive": owned.enter_context(naive_envoy(ports["naive"], backend_port, TOKEN)),
            "lean": lean.envoy_pid,
            "full": full.envoy_pid,
        }
        for name, (proxy, features) in _RIVALS.items():
            pids[name] = owned.enter_context(proxy(ports[name], backend_port, TOKEN, features=features))
        pin(backend, 1)
        for pid in pids.values():
            pin(pid, 0)
        targets = [Target("no proxy", f"http://127.0.0.1:{backend_port}/", None)]
        targets += [
            Target(_NAMES.get(name, name), f"http://127.0.0.1:{ports[name]}{_PATHS.get(name, '/')}", pid)
            for name, pid in pids.items()
        ]
        await asyncio.sleep(0.5)
        return await taking_turns(targets, rounds, seconds, connections)


_RIVALS = {
    "nginx, plain": (nginx, False),
    "nginx, the same work but spans": (nginx, True),
    "HAProxy, plain": (haproxy, False),
    "HAProxy, the same work but copies and spans": (haproxy, True),
}
_NAMES = {
    "plain": "Envoy, plain",
    "naive": "Envoy, the same work on one hand-written route",
    "lean": "Easel, token and keepalive",
    "full": "Easel, all on",
}
_PATHS = {"lean": "/api/predict/svc", "full": "/api/predict/all"}


def report(seen: dict[str, list[Slice]]) -> dict[str, object]:
    """Prints the table; returns what goes to the JSON file."""
    print("| path | requests/s | p50 µs | p99 µs | processor seconds per 1,000 requests | ÷ plain Envoy |")
    print("|---|---|---|---|---|---|")
    ratios = {}
    for name, slices in seen.items():
        ratios[name] = median(
            a.requests_per_second / b.requests_per_second
            for a, b in zip(slices, seen[_NAMES["plain"]], strict=True)
        )
        row = [median(getattr(each, field) for each in slices) for field in Slice.__dataclass_fields__]
        cpu = f"{row[3] / 1000:.3f}" if row[3] else "–"
        print(f"| {name} | {row[0]:,.0f} | {row[1]:,.0f} | {row[2]:,.0f} | {cpu} | {ratios[name]:.2f} |")
    return {
        "machine": platform.platform(),
        "lean_ratio": ratios[_NAMES["lean"]],
        "full_ratio": ratios[_NAMES["full"]],
        "ratios": ratios,
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
    lacking = [*missing(), *(["wrk"] if shutil.which("wrk") is None else [])]
    if lacking:
        sys.exit(f"bench.features needs {', '.join(lacking)}: install the Debian packages of those names")
    result = report(asyncio.run(measure(given.rounds, given.seconds, given.connections)))
    if given.json:
        given.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
