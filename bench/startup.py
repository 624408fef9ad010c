"""How long `easel up --detach` takes until Easel is ready, and how much memory Easel uses then.

Run as `python -m bench.startup [--quick] [--json FILE]`. In turn: a start on an empty data directory, a
start on the same one again, and, for comparison, an Envoy alone with one hand-written route. A start before
all of them is not counted: it compiles the modules, as the first one of an installation does.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from bench.bare import first_200
from bench.gateway_rig import answering, plain_envoy
from bench.processes import cpu_seconds, pss_mib, rss_mib
from tests.support.embedded import EmbeddedEasel, embedded_easel
from tests.support.free_ports import free_port

Row = dict[str, Any]


def one_round(rest_s: float) -> list[tuple[str, Row]]:
    """Each part of a round and its figures: `seconds`, and where it is told memory and idle use."""
    with tempfile.TemporaryDirectory(prefix="eb-") as home:
        began = time.perf_counter()
        with embedded_easel(Path(home)) as easel:
            fresh = time.perf_counter() - began
            time.sleep(rest_s)
            everyone = easel.processes()
            envoys = [each for each in everyone if each.name() == "envoy"]
            whole = [
                ("easel, all services in one process", _uses([easel.control_plane()], rest_s)),
                ("its Envoy", _uses(envoys, rest_s)),
                ("all of Easel", _uses(everyone, rest_s)),
            ]
            again = _again(easel)
    return [
        ("`easel up --detach`, empty data directory", {"seconds": fresh}),
        ("`easel up --detach`, same data directory again", {"seconds": again}),
        *whole,
        ("Envoy alone, one route", _envoy_alone(rest_s)),
    ]


def _again(easel: EmbeddedEasel) -> float:
    easel.down()
    began = time.perf_counter()
    easel.up()
    return time.perf_counter() - began


def _envoy_alone(rest_s: float) -> Row:
    port = free_port()
    began = time.time()
    with plain_envoy(answering(port, "ok")) as pid:
        seconds = first_200(port) - began
        time.sleep(rest_s)
        return {"seconds": seconds, **_uses([psutil.Process(pid)], rest_s)}


def _uses(processes: list[psutil.Process], during_s: float) -> Row:
    before = cpu_seconds(processes)
    time.sleep(during_s)
    return {
        "rss_mib": rss_mib(processes),
        "pss_mib": pss_mib(processes),
        "idle_cpu_percent": (cpu_seconds(processes) - before) / during_s * 100,
    }


def measure(rounds: int, rest_s: float) -> list[Row]:
    """One row a part, with every figure of every round."""
    found: dict[str, Row] = {}
    with _modules_compiled():
        for _ in range(rounds):
            for what, figures in one_round(rest_s):
                row = found.setdefault(what, {"what": what})
                for name, value in figures.items():
                    row.setdefault(name, []).append(round(value, 3))
    return list(found.values())


@contextmanager
def _modules_compiled() -> Iterator[None]:
    """Python compiles every module at every start where it may not keep what it has compiled."""
    with tempfile.TemporaryDirectory(prefix="eb-compiled-") as kept, tempfile.TemporaryDirectory() as home:
        os.environ["PYTHONPYCACHEPREFIX"] = kept
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        with embedded_easel(Path(home)):
            pass
        yield


def table(rows: list[Row]) -> str:
    lines = [
        "| what | rounds | p50 s | max s | RSS MiB | PSS MiB | idle CPU % |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        seconds = row.get("seconds")
        took = f"{statistics.median(seconds):.2f} | {max(seconds):.2f}" if seconds else "– | –"
        uses = [_median(row, name, places) for name, places in (("rss_mib", 0), ("pss_mib", 0))]
        idle = _median(row, "idle_cpu_percent", 1)
        rounds = len(seconds or row["rss_mib"])
        lines.append(f"| {row['what']} | {rounds} | {took} | {' | '.join(uses)} | {idle} |")
    up, _, _, _, everything, envoy = rows
    times = statistics.median(up["seconds"]) / statistics.median(envoy["seconds"])
    memory = statistics.median(everything["pss_mib"]) / statistics.median(envoy["pss_mib"])
    lines += ["", f"Against Envoy alone: {times:.1f} × the time to start, {memory:.1f} × the memory (PSS)."]
    return "\n".join(lines)


def _median(row: Row, name: str, places: int) -> str:
    return f"{statistics.median(row[name]):.{places}f}" if name in row else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round: proves it works")
    parser.add_argument("--json", type=Path, help="also write the raw numbers to this file")
    arguments = parser.parse_args()
    rounds, rest_s = (1, 0.5) if arguments.quick else (7, 2.0)
    rows = measure(rounds, rest_s)
    print(table(rows))
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": rows}) + "\n")


if __name__ == "__main__":
    main()
