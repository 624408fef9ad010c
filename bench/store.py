"""How fast placements are committed: SQLite and PostgreSQL, both durable, on one machine.

Run as `python -m bench.store [--json FILE] [--placements N]`. A placement is one instance row brought to a
new revision and one event row. PostgreSQL is a server of its own with fsync on, started and stopped by this
program. What an fsync costs on this disk is printed first, since every figure stands on it.
"""

import argparse
import asyncio
import json
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from libs.db.changes import Changes
from libs.db.store import Store, open_store
from libs.domain.records import Event, Instance, Resources
from libs.domain.states import EventKind, InstanceState
from tests.support.postgres import postgres_binaries, postgres_server

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CALLERS = 32
BATCH = 100

Way = Callable[[Store, list[Instance]], Awaitable[list[float]]]


def pending(count: int) -> tuple[Instance, ...]:
    asked = Resources(cpu_milli=4_000, memory_mib=16_384, gpus=1)
    return tuple(Instance(f"web-{n:06}", "web", 1, NOW, resources=asked) for n in range(count))


def placement(*instances: Instance) -> Changes:
    placed = (
        replace(
            each,
            state=InstanceState.SCHEDULED,
            node="node-1",
            epoch=1,
            gpu_uuids=("GPU-1",),
            host_port=20_000,
        )
        for each in instances
    )
    events = (
        Event(NOW, EventKind.NORMAL, "Scheduled", "node-1 is the best of 9", "instance", each.id, "web")
        for each in instances
    )
    return Changes(put=tuple(placed), events=tuple(events))


async def timed(store: Store, *instances: Instance) -> float:
    begun = time.perf_counter()
    await store.commit(placement(*instances))
    return time.perf_counter() - begun


async def one_caller(store: Store, instances: list[Instance]) -> list[float]:
    return [await timed(store, each) for each in instances]


async def many_callers(store: Store, instances: list[Instance]) -> list[float]:
    todo = iter(instances)

    async def caller() -> list[float]:
        return [await timed(store, each) for each in todo]

    took = await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return [each for some in took for each in some]


async def batches(store: Store, instances: list[Instance]) -> list[float]:
    return [await timed(store, *instances[n : n + BATCH]) for n in range(0, len(instances), BATCH)]


WAYS: dict[str, Way] = {
    "one caller, one by one": one_caller,
    f"{CALLERS} callers, one by one": many_callers,
    f"one caller, batches of {BATCH}": batches,
}


async def measure(engine: str, url: str, count: int) -> list[dict[str, Any]]:
    rows = []
    async with open_store(url) as store:
        for what, way in WAYS.items():
            written = await store.commit(Changes(put=pending(count)))
            instances = [each for each in written.put if isinstance(each, Instance)]
            begun = time.perf_counter()
            took = await way(store, instances)
            rows.append(row(f"{engine}: {what}", count, time.perf_counter() - begun, took))
            await store.commit(Changes(delete=(await store.load()).instances))
    return rows


def row(what: str, count: int, seconds: float, took: list[float]) -> dict[str, Any]:
    cuts = statistics.quantiles(took, n=100)
    return {
        "what": what,
        "placements": count,
        "per_second": round(count / seconds),
        "p50_ms": round(cuts[49] * 1000, 2),
        "p99_ms": round(cuts[98] * 1000, 2),
    }


def fsync_ms() -> float:
    """The median cost of making 8 KiB durable where the databases lie, in milliseconds."""
    took = []
    with tempfile.TemporaryFile() as file:
        for _ in range(200):
            file.write(b"x" * 8_192)
            file.flush()
            begun = time.perf_counter()
            os.fsync(file.fileno())
            took.append(time.perf_counter() - begun)
    return round(statistics.median(took) * 1000, 3)


async def run(count: int) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        rows = await measure("SQLite", f"sqlite:///{folder}/easel.db", count)
    if postgres_binaries() is None:
        print("PostgreSQL is left out: its server binaries are not installed", file=sys.stderr)
        return rows
    with postgres_server(durable=True) as server:
        await server.answers()
        rows += await measure("PostgreSQL", await server.new_database(), count)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="also write the raw numbers to this file")
    parser.add_argument("--placements", type=int, default=3_000)
    arguments = parser.parse_args()
    fsync = fsync_ms()
    print(f"fsync of 8 KiB: p50 {fsync} ms\n")
    rows = asyncio.run(run(arguments.placements))
    print("| committed placements | count | per second | p50 ms of a call | p99 ms |\n|---|---|---|---|---|")
    for each in rows:
        print("| {what} | {placements} | {per_second:,} | {p50_ms} | {p99_ms} |".format(**each))
    if arguments.json:
        machine = {
            "python": sys.version.split()[0],
            "sqlite": sqlite3.sqlite_version,
            "machine": platform.machine(),
            "fsync_p50_ms": fsync,
        }
        arguments.json.write_text(json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
