"""The whole path on one core: Easel's gateway and a model behind it, against what a user would pick instead.

Run as `python -m bench.platforms [--quick] [--json FILE]`. Every platform has one core, the load generator
another. Short slices of all of them are interleaved in one run, and medians compared, so that a noisy
machine hits all alike; those that are not measured just then are stopped. Easel never is, so what it uses
while idle is at the others' cost; the table shows how much that is.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench import wrk
from bench.contenders import (
    BODY,
    PEERS,
    NotAnswering,
    Target,
    ask,
    running_easel,
    running_peer,
)
from bench.machine import PLATFORM_CORE
from bench.pace import paced
from bench.processes import core_seconds, cpu_seconds, foreign, pause, pss_mib, resume
from bench.venvs import NotInstalled

CONNECTIONS = 32
RATE = 100
# More than this share of the platform's core taken by others, and a slice says little.
QUIET_PERCENT = 10


@dataclass(frozen=True)
class Effort:
    """How long everything takes."""

    rounds: int
    burst_s: int
    paced_s: float
    idle_s: float


FULL = Effort(rounds=5, burst_s=2, paced_s=3.0, idle_s=3.0)
QUICK = Effort(rounds=1, burst_s=1, paced_s=0.5, idle_s=0.5)


@dataclass
class Seen:
    """All that was measured of one target."""

    name: str
    version: str
    idle_cpu_percent: float | None = None
    memory_mib: float | None = None
    per_second: list[float] = field(default_factory=list)
    burst_p99_ms: list[float] = field(default_factory=list)
    paced_ms: list[float] = field(default_factory=list)
    failed: int = 0
    # The share of the platform's core that others took while it was loaded.
    disturbed: list[float] = field(default_factory=list)
    foreign: set[str] = field(default_factory=set)


def measure(effort: Effort) -> tuple[list[Seen], dict[str, str]]:
    """What was measured, and why the rest was not, by name."""
    left_out: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="eb-") as folder, ExitStack() as stack:
        targets: list[Target] = list(stack.enter_context(running_easel(Path(folder) / "easel")))
        for peer in PEERS:
            try:
                targets.append(stack.enter_context(running_peer(peer, Path(folder) / peer.venv)))
            except (NotInstalled, NotAnswering) as why:
                left_out[peer.name] = str(why)
                continue
            pause(targets[-1].processes())
        seen = {target.name: Seen(target.name, target.version) for target in targets}
        for number in range(effort.rounds + 1):
            for target in targets if number % 2 else targets[::-1]:
                _slice(target, seen[target.name], effort, warming=number == 0)
    return list(seen.values()), left_out


def _slice(target: Target, seen: Seen, effort: Effort, *, warming: bool) -> None:
    everyone = target.processes()
    if target.pausable:
        resume(everyone)
        _settle(target)
    try:
        if warming:
            wrk.burst(target.url, BODY, target.headers, 1, CONNECTIONS)
            _at_rest(target, seen, effort)
            return
        own, core = cpu_seconds(everyone), core_seconds(PLATFORM_CORE)
        told = wrk.burst(target.url, BODY, target.headers, effort.burst_s, CONNECTIONS)
        others = core_seconds(PLATFORM_CORE) - core - (cpu_seconds(everyone) - own)
        seen.disturbed.append(max(0.0, others / effort.burst_s))
        seen.per_second.append(told.per_second)
        seen.burst_p99_ms.append(told.p99_ms)
        seen.failed += told.failed
        seen.paced_ms += paced(target.url, BODY, target.headers, RATE, effort.paced_s)
        seen.foreign |= foreign(everyone)
    finally:
        if target.pausable:
            pause(target.processes())


def _settle(target: Target) -> None:
    """Something that was stopped has missed its timers: let it catch up before it is measured."""
    for _ in range(50):
        ask(target)
    time.sleep(0.3)


def _at_rest(target: Target, seen: Seen, effort: Effort) -> None:
    if not target.alone:
        return
    time.sleep(0.5)
    everyone = target.processes()
    before = cpu_seconds(everyone)
    time.sleep(effort.idle_s)
    seen.idle_cpu_percent = (cpu_seconds(everyone) - before) / effort.idle_s * 100
    seen.memory_mib = pss_mib(everyone)


def rows(all_seen: list[Seen]) -> list[dict[str, Any]]:
    """One row a target; `easel_times` is Easel's throughput over its own."""
    easel = statistics.median(all_seen[0].per_second)
    return [_row(seen, easel) for seen in all_seen]


def _row(seen: Seen, easel: float) -> dict[str, Any]:
    rate = statistics.median(seen.per_second)
    cuts = statistics.quantiles(seen.paced_ms, n=100)
    return {
        "what": seen.name,
        "version": seen.version,
        "per_second": round(rate),
        "easel_times": round(easel / rate, 2),
        "p50_ms_at_100": round(cuts[49], 2),
        "p99_ms_at_100": round(cuts[98], 2),
        "memory_mib": seen.memory_mib and round(seen.memory_mib),
        "idle_cpu_percent": seen.idle_cpu_percent and round(seen.idle_cpu_percent, 1),
        "failed": seen.failed,
        "disturbed_percent": [round(each * 100) for each in seen.disturbed],
        "foreign": sorted(seen.foreign),
        "slices_per_second": [round(each) for each in seen.per_second],
        "slices_p99_ms": [round(each, 2) for each in seen.burst_p99_ms],
    }


def table(found: list[dict[str, Any]], left_out: dict[str, str]) -> str:
    """The rows as Markdown."""
    lines = [
        "| platform | version | requests/s | Easel is × as fast | p50 ms at 100/s | p99 ms at 100/s "
        "| memory MiB | idle CPU % | failed | core taken by others % |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in found:
        memory = "–" if row["memory_mib"] is None else row["memory_mib"]
        idle = "–" if row["idle_cpu_percent"] is None else row["idle_cpu_percent"]
        lines.append(
            f"| {row['what']} | {row['version']} | {row['per_second']:,} | {row['easel_times']:.2f} "
            f"| {row['p50_ms_at_100']} | {row['p99_ms_at_100']} | {memory} | {idle} | {row['failed']} "
            f"| {max(row['disturbed_percent'])} |"
        )
    lines += [
        f"| {name} | | not measured: {why.replace('|', '/')} | | | | | | |" for name, why in left_out.items()
    ]
    beyond = sorted({address for row in found for address in row["foreign"]})
    lines += ["", f"Connections beyond this machine at the end of any slice: {', '.join(beyond) or 'none'}."]
    if max(share for row in found for share in row["disturbed_percent"]) > QUIET_PERCENT:
        lines.append("**The machine was busy with something else: measure again before relying on this.**")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short slice each: proves it works")
    parser.add_argument("--json", type=Path, help="also write the raw numbers to this file")
    arguments = parser.parse_args()
    if why := wrk.missing():
        sys.exit(f"bench.platforms: {why}")
    effort = QUICK if arguments.quick else FULL
    all_seen, left_out = measure(effort)
    found = rows(all_seen)
    print(table(found, left_out))
    if arguments.json:
        told = {"effort": asdict(effort), "rows": found, "left_out": left_out}
        arguments.json.write_text(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
