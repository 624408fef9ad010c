"""A step of load on a service that scales itself, and 500 requests at one that is asleep.

Run as `python -m bench.scaling [--quick] [--json FILE]`. k6 sends 5 requests a second, then 200, then 5 again
to a service whose instances do at most 50 each, with a target of 25. The same load under the published rules
of the horizontal autoscalers of Kubernetes and Knative, simulated, stands beside it: these decide and nothing
else, with instances that take as long to start as ours did.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from bench.scaling_rules import Point, horizontal_pod_autoscaler, knative_pod_autoscaler
from easel_sdk import Easel
from easel_sdk.types import Event
from tests.support.embedded import EmbeddedEasel, embedded_easel
from tests.support.free_ports import free_port
from tests.support.k6 import Request, Target, arrivals, failures, k6

TOKEN = "a-token-of-the-bench"
SERVER = Path(__file__).with_name("one_at_a_time.py")
TARGET, LOW, HIGH, MOST = 25, 5, 200, 20
DOWN_S = 15
SLEEPERS = 500
_LOOK_S = 0.1


@dataclass
class Watched:
    """Wanted and ready instances over time, seconds since 1970."""

    seen: list[tuple[float, int, int]] = field(default_factory=list)


def spec(name: str, least: int, hold: int = 1_000) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "instance": 1, "cpu": 0.05, "memory": 100, "rpc": {"keepalive": 60_000}},
        "token": TOKEN,
        "containers": [
            {"image": "python:3.11-slim", "script": f"exec {sys.executable} {SERVER}", "port": free_port()}
        ],
        "autoscaler": {
            "min": least,
            "max": MOST,
            "scaleStrategies": [{"metricName": "qps", "threshold": TARGET}],
            "behavior": {
                "scaleDown": {"stabilizationWindowSeconds": DOWN_S},
                "onZero": {"scaleDownGracePeriodSeconds": 5, "holdRequests": hold},
            },
        },
    }


def step(easel: EmbeddedEasel, client: Easel, seconds: tuple[float, float, float]) -> dict[str, Any]:
    """5 requests a second, then 200, then 5; what became of the requests and of the instances."""
    calm, busy, after = seconds
    client.services.create(spec("step", 1))
    _until(lambda: client.services.get("step").ready == 1, "the first instance")
    scenarios = {
        "calm": arrivals(LOW, calm, users=20),
        "busy": arrivals(HIGH, busy, calm, users=400),
        "after": arrivals(LOW, after, calm + busy, users=20),
    }
    target = Target(f"{easel.context.gateway}/api/predict/step", {"Authorization": TOKEN})
    with _watching(client, "step") as watched, k6(easel.home / "k6", target, scenarios) as run:
        requests = run.requests(within=sum(seconds) + 120)
    began = min(each.ended - each.ms / 1000 for each in requests if each.scenario == "busy")
    ended = min(each.ended - each.ms / 1000 for each in requests if each.scenario == "after")
    decisions = _decisions(client, "step")
    client.services.delete("step")
    return _of_the_step(requests, decisions, watched, began, ended)


def _of_the_step(
    requests: Sequence[Request], decisions: Sequence[Event], watched: Watched, began: float, ended: float
) -> dict[str, Any]:
    out = [d.at.timestamp() for d in decisions if d.at and d.at.timestamp() > began]
    enough = [t for t, _, ready in watched.seen if t > began and ready >= HIGH / TARGET]
    late = [each for each in requests if each.scenario == "busy" and each.ended > began + 10]
    gone = [t for t, wanted, ready in watched.seen if t > ended and wanted == ready == 1]
    return {
        "first_decision_s": round(out[0] - began, 2),
        "enough_ready_s": round(enough[0] - began, 2) if enough else None,
        "requests": len(requests),
        "statuses": dict(Counter(str(each.status) for each in requests)),
        "failed": len(failures(requests)),
        "p99_ms_first_10_s": round(_p99([r for r in requests if r.scenario == "busy" and r not in late]), 1),
        "p99_ms_after_10_s": round(_p99(late), 1) if late else None,
        "back_to_one_s": round(gone[0] - ended, 1) if gone else None,
        "most_wanted": max(wanted for _, wanted, _ in watched.seen),
        "decisions": [[round(d.at.timestamp() - began, 2), d.why] for d in decisions if d.at is not None],
        "curve": [[round(t - began, 1), wanted, ready] for t, wanted, ready in watched.seen],
        "began_after_s": round(began - watched.seen[0][0], 2),
        "busy_s": round(ended - began, 2),
    }


def asleep(easel: EmbeddedEasel, client: Easel) -> dict[str, Any]:
    """500 requests at once at a service without an instance; then more than it holds."""
    client.services.create(spec("sleeper", 0, hold=SLEEPERS))
    _until(lambda: client.services.get("sleeper").wanted == 0, "the service to fall asleep", 60)
    url = f"{easel.context.gateway}/api/predict/sleeper"
    held = asyncio.run(_all_at_once(url, SLEEPERS))
    woke = next(each for each in client.events.list(service="sleeper") if each.reason == "Woke")
    _until(lambda: client.services.get("sleeper").wanted == 0, "the service to fall asleep again", 120)
    beyond = asyncio.run(_all_at_once(url, SLEEPERS + 50))
    client.services.delete("sleeper")
    return {
        "statuses": dict(Counter(str(status) for status, _, _ in held)),
        "slowest_s": round(max(took for _, took, _ in held), 2),
        "fastest_s": round(min(took for _, took, _ in held), 2),
        "woke": woke.why,
        "beyond": dict(Counter(str(status) for status, _, _ in beyond)),
        "retry_after": sorted({after for status, _, after in beyond if status == 503}),
    }


async def _all_at_once(url: str, count: int) -> list[tuple[int, float, str]]:
    timeout = aiohttp.ClientTimeout(total=120)
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=timeout, headers={"Authorization": TOKEN}
    ) as session:

        async def one() -> tuple[int, float, str]:
            began = time.monotonic()
            async with session.post(url, data=b"x") as answer:
                await answer.read()
                return answer.status, time.monotonic() - began, answer.headers.get("Retry-After", "")

        return await asyncio.gather(*(one() for _ in range(count)))


@contextmanager
def _watching(client: Easel, name: str) -> Iterator[Watched]:
    watched, stop = Watched(), threading.Event()

    def look() -> None:
        while not stop.is_set():
            service = client.services.get(name)
            watched.seen.append((time.time(), service.wanted, service.ready))
            stop.wait(_LOOK_S)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield watched
    finally:
        stop.set()
        thread.join(timeout=10)


def _decisions(client: Easel, name: str) -> list[Event]:
    found = [each for each in client.events.list(service=name) if each.reason == "Scaled" and each.at]
    return sorted(found, key=lambda each: each.at or 0)  # type: ignore[arg-type, return-value]


def _until(condition: Any, what: str, within: float = 30) -> None:
    ends = time.monotonic() + within
    while not condition():
        if time.monotonic() > ends:
            raise SystemExit(f"waited {within:g} s for {what}")
        time.sleep(0.05)


def _p99(requests: Sequence[Request]) -> float:
    return statistics.quantiles([each.ms for each in requests], n=100, method="inclusive")[98]


def others(found: dict[str, Any]) -> dict[str, Any]:
    """The same load under the rules of others: when they first decide, and when enough is ready."""
    start_s = max(0.5, (found["enough_ready_s"] or 2.0) - found["first_decision_s"])
    before, busy = 60, found["busy_s"]
    load = [Point(t, LOW if t < 0 or t >= busy else HIGH) for t in range(-before, int(busy) + 400)]
    rules = {
        "HPA of Kubernetes": horizontal_pod_autoscaler(load, TARGET, start_s, least=1, most=MOST),
        "KPA of Knative": knative_pod_autoscaler(load, TARGET, start_s, least=1, most=MOST),
    }
    return {
        name: {
            "first_decision_s": next((s.t for s in steps if s.t >= 0 and s.wanted > 1), None),
            "enough_ready_s": next((s.t for s in steps if s.t >= 0 and s.ready >= HIGH / TARGET), None),
            "curve": [[s.t, s.wanted, s.ready] for s in steps],
        }
        for name, steps in rules.items()
    }


def plot(found: dict[str, Any], beside: dict[str, Any]) -> str:
    """Ready instances over the seconds around the step, in characters: the first letter of each name."""
    import plotext

    last = found["busy_s"] + 40
    curves = {"Easel": found["curve"], **{name: each["curve"] for name, each in beside.items()}}
    figure = plotext.figure
    figure.clear.all()
    figure.plot_size(100, 24)
    figure.theme("clear")
    # What is drawn later lies on top.
    for name, curve in reversed(curves.items()):
        line = _by_the_second(curve, last)
        figure.draw(figure.signal([t for t, _ in line], [r for _, r in line], marker=name[0].lower()))
    figure.ruler("x").lim(-10, last)
    figure.title("ready instances, by seconds after the step")
    drawn: str = plotext.uncolorize(str(figure.build()))
    legend = "   ".join(f"{name[0].lower()} {name}" for name in curves)
    rows = [row.rstrip() for row in drawn.splitlines()]
    return "\n".join([*rows, legend])


def _by_the_second(curve: Sequence[Sequence[float]], last: float) -> list[tuple[float, float]]:
    """The newest ready number at each half second from ten before the step."""
    line, known, points = [], curve[0][2], list(curve)
    for half in range(-20, int(last * 2) + 1):
        while points and points[0][0] <= half / 2:
            known = points.pop(0)[2]
        line.append((half / 2, known))
    return line


def table(found: dict[str, Any], beside: dict[str, Any], zero: dict[str, Any]) -> str:
    lines = [
        "| step from 5 to 200 requests/s | first decision s | enough instances ready s |",
        "|---|---|---|",
        f"| Easel, measured | {found['first_decision_s']:.1f} | {_s(found['enough_ready_s'])} |",
    ]
    lines += [
        f"| {name}, simulated | {_s(each['first_decision_s'])} | {_s(each['enough_ready_s'])} |"
        for name, each in beside.items()
    ]
    lines += [
        "",
        f"{found['requests']:,} requests, answers by status {_counts(found['statuses'])}; "
        f"p99 {found['p99_ms_first_10_s']:,.0f} ms in the first ten seconds of the step, "
        f"{found['p99_ms_after_10_s'] or 0:,.0f} ms after; {_back(found['back_to_one_s'])} "
        f"(window {DOWN_S} s).",
        "",
        "```text",
        plot(found, beside),
        "```",
        "",
        "What was decided, in seconds after the step:",
        "",
        *(f"- {at:.1f}: {why}" for at, why in found["decisions"]),
        "",
        f"{SLEEPERS} requests at once at a service at zero: answers by status {_counts(zero['statuses'])}, "
        f"after {zero['fastest_s']} to {zero['slowest_s']} s (one instance does 50 a second). "
        f"The service was {zero['woke']}. "
        f"{SLEEPERS + 50} at once with room for {SLEEPERS}: {_counts(zero['beyond'])}, "
        f"`Retry-After` {', '.join(zero['retry_after'])}.",
    ]
    return "\n".join(lines)


def _back(seconds: float | None) -> str:
    if seconds is None:
        return "not back to one instance when the load ended"
    return f"back to one instance {seconds:.1f} s after its end"


def _s(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f}"


def _counts(statuses: dict[str, int]) -> str:
    return ", ".join(f"{status}: {count:,}" for status, count in sorted(statuses.items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a short step")
    parser.add_argument("--json", type=Path, help="write the raw numbers here")
    given = parser.parse_args()
    seconds = (5.0, 12.0, 22.0) if given.quick else (15.0, 45.0, 75.0)
    with (
        tempfile.TemporaryDirectory(prefix="eb-") as home,
        embedded_easel(Path(home)) as easel,
        Easel.of(easel.context) as client,
    ):
        found = step(easel, client, seconds)
        zero = asleep(easel, client)
    beside = others(found)
    if given.json:
        given.json.write_text(json.dumps({"step": found, "others": beside, "zero": zero}))
    print(table(found, beside, zero))


if __name__ == "__main__":
    main()
