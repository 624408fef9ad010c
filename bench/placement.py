"""How fast placement decides: decisions a second on one core, and what a refusal's sentences cost.

Run as `python -m bench.placement [--json FILE]`. A decision is filter, score, choice of GPUs and port, and
the change of the snapshot. The cluster starts 60 % full; decisions are a mix of GPU and CPU work of many
services, and every placement beyond that level releases an earlier one, so that the level stays.
"""

import argparse
import gc
import json
import platform
import random
import statistics
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from libs.domain.records import Gpu, Node, Resources
from libs.domain.states import NodeState
from services.scheduler.placement import Ask, Placement, Snapshot, Unplaced, place

GPUS = 8
CAPACITY = Resources(cpu_milli=128_000, memory_mib=1024 * 1024, disk_mib=8 * 1024 * 1024)
MODELS = ("NVIDIA H100 80GB HBM3", "NVIDIA A100-SXM4-80GB", "NVIDIA L40S")


def a_node(number: int) -> Node:
    name, model = f"node-{number:05}", MODELS[number % len(MODELS)]
    return Node(
        name=name,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        zone=f"zone-{number % 4}",
        capacity=CAPACITY,
        gpus=tuple(Gpu(f"{name}-{i}", i, model, 81_920) for i in range(GPUS)),
        images=(f"image-{number % 50}",),
        first_port=20_000,
        last_port=29_999,
    )


def asks(count: int, services: int, seed: int = 1) -> list[Ask]:
    dice = random.Random(seed)
    return [
        Ask(
            instance=f"i{number}",
            service=f"service-{dice.randrange(services)}",
            cpu_milli=dice.choice((500, 2_000, 8_000)),
            memory_mib=dice.choice((1_024, 16_384, 65_536)),
            disk_mib=20_480,
            gpus=dice.choice((0, 1, 1, 2, 4, 8)),
            gpu_model=dice.choice(("", "", "A100", "H100")),
            port=8_000,
            spread=dice.choice(("default", "default", "host", "zone")),
            image=f"image-{dice.randrange(60)}",
        )
        for number in range(count)
    ]


def fill(snapshot: Snapshot, wanted: list[Ask], share: float) -> tuple[list[str], int]:
    """Places until the share of all GPUs is held; the instances placed, and how many asks that took."""
    target, held, placed = share * len(snapshot.nodes) * GPUS, 0, []
    for used, ask in enumerate(wanted):
        if held >= target:
            return placed, used
        answer = place(ask, snapshot)
        if isinstance(answer, Placement):
            snapshot.assume(answer)
            placed.append(ask.instance)
            held += ask.gpus
    raise SystemExit("the asks ran out before the cluster was filled")


def decide(nodes: int, decisions: int) -> dict[str, Any]:
    snapshot = Snapshot.of(a_node(number) for number in range(nodes))
    wanted = asks(4 * nodes + decisions, services=max(50, nodes // 10))
    placed, used = fill(snapshot, wanted, 0.6)
    took, refused, oldest = [], 0, 0
    gc.collect()
    gc.freeze()
    for ask in wanted[used : used + decisions]:
        begun = time.perf_counter()
        answer = place(ask, snapshot)
        if isinstance(answer, Placement):
            snapshot.assume(answer)
        took.append(time.perf_counter() - begun)
        if isinstance(answer, Placement):
            placed.append(ask.instance)
            snapshot.release(placed[oldest])
            oldest += 1
        else:
            refused += 1
    return row(f"{nodes:,} nodes × {GPUS} GPUs: decide and apply", took) | {"refused": refused}


def refuse(nodes: int, times: int) -> dict[str, Any]:
    """Nodes are refused by all rules in turn, so that each has a phrase to make."""
    snapshot = Snapshot.of(short_of_something(a_node(number), number) for number in range(nodes))
    asked = Ask("i", "s", cpu_milli=1_000, gpus=1, memory_mib=1_024, disk_mib=1_024)
    took = []
    for _ in range(times):
        begun = time.perf_counter()
        answer = place(asked, snapshot)
        took.append(time.perf_counter() - begun)
        if not isinstance(answer, Unplaced):
            raise SystemExit("an ask that nothing fits was placed")
    print(f"a refusal at {nodes:,} nodes reads: {' · '.join(answer.reasons)}\n")
    return row(f"{nodes:,} nodes × {GPUS} GPUs: refuse, with sentences", took) | {"refused": times}


def short_of_something(node: Node, number: int) -> Node:
    lacking: tuple[dict[str, Any], ...] = (
        {"state": NodeState.LOST},
        {"schedulable": False},
        {"draining": True},
        {"gpus": ()},
        {"capacity": replace(CAPACITY, cpu_milli=500)},
        {"capacity": replace(CAPACITY, memory_mib=512)},
        {"capacity": replace(CAPACITY, disk_mib=512)},
        {"first_port": 0, "last_port": 0},
        {"resource_group": "lab"},
    )
    return replace(node, **lacking[number % len(lacking)])


def row(what: str, took: list[float]) -> dict[str, Any]:
    cuts = statistics.quantiles(took, n=100)
    return {
        "what": what,
        "count": len(took),
        "per_second": round(len(took) / sum(took)),
        "p50_ms": round(cuts[49] * 1000, 3),
        "p99_ms": round(cuts[98] * 1000, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the raw numbers to this file")
    parser.add_argument("--decisions", type=int, default=5_000)
    arguments = parser.parse_args()
    rows = [decide(nodes, arguments.decisions) for nodes in (1_000, 10_000)]
    rows += [refuse(nodes, 200) for nodes in (1_000, 10_000)]
    print("| placement | count | refused | per second | p50 ms | p99 ms |\n|---|---|---|---|---|---|")
    for each in rows:
        print("| {what} | {count:,} | {refused:,} | {per_second:,} | {p50_ms} | {p99_ms} |".format(**each))
    if arguments.json:
        machine = {"python": sys.version.split()[0], "numpy": np.__version__, "machine": platform.machine()}
        arguments.json.write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
