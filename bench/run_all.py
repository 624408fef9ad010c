"""Runs every bench one after another and writes what they found into docs/BENCHMARKS.md.

    python -m bench.run_all [NAME ...] [--quick] [--page FILE]

A bench that lacks something says so in its place and does not stop the others. With --quick everything is
short, proves only that the benches work, and the page is left alone unless --page names another one.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.document import Outcome, Stamp, raw_of, updated
from bench.goals import goals_table
from bench.machine import machine, versions

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "BENCHMARKS.md"
_WITHIN_S = 420.0


@dataclass(frozen=True)
class Bench:
    """A module of this package, and what makes it quick."""

    name: str
    quick: Sequence[str] = ("--quick",)


BENCHES = (
    Bench("gateway", ("--rounds", "1")),
    Bench("features", ("--rounds", "1")),
    Bench("disturbance", ("--rounds", "1", "--seconds", "1")),
    Bench("platforms"),
    Bench("deploy"),
    Bench("scaling"),
    Bench("decisions"),
    Bench("metrics_scale"),
    Bench("xds", ("--services", "10", "100", "--changes", "10")),
    Bench("placement", ("--decisions", "200")),
    Bench("store", ("--placements", "200")),
    Bench("startup"),
    Bench("storage"),
)
NAMES = tuple(bench.name for bench in BENCHES)


def run(bench: Bench, *, quick: bool) -> Outcome:
    """One bench in a process of its own; whatever happens to it becomes an outcome."""
    words = ["-m", f"bench.{bench.name}", *(bench.quick if quick else ())]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="easel-bench-") as folder:
        numbers = Path(folder) / "raw.json"
        code, said, complaint = _ended([sys.executable, *words, "--json", str(numbers)])
        raw = json.loads(numbers.read_text()) if code == 0 and numbers.exists() else None
    lines = complaint.strip().splitlines()
    notes = "\n".join(lines) if raw is not None else ""
    text = f"{said.strip()}\n\n{notes}".strip() if raw is not None else _why(code, lines)
    command = " ".join(["python", *words])
    return Outcome(bench.name, text, raw, command, time.monotonic() - began)


def _ended(command: list[str]) -> tuple[int, str, str]:
    """How a command ended and what it wrote. Past its time it is interrupted, so that it cleans up."""
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            said, complaint = process.communicate(timeout=_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)
            try:
                said, complaint = process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                said, complaint = process.communicate()
            return -1, said, f"it did not end within {_WITHIN_S:g} s"
        return process.returncode, said, complaint


def _why(code: int, complaint: list[str]) -> str:
    return complaint[-1] if complaint else f"it ended with code {code} and no word"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which to run: {', '.join(NAMES)}")
    parser.add_argument("--quick", action="store_true", help="short runs that only prove that all works")
    parser.add_argument("--page", type=Path, help="the page to refresh instead of docs/BENCHMARKS.md")
    given = parser.parse_args()
    if unknown := set(given.names) - set(NAMES):
        parser.error(f"no bench is called {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    page = given.page or (None if given.quick else PAGE)
    stamp = Stamp(datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"), machine(), versions())
    outcomes = []
    for bench in BENCHES:
        if given.names and bench.name not in given.names:
            continue
        print(f"== {bench.name}", flush=True)
        outcomes.append(run(bench, quick=given.quick))
        print(f"{outcomes[-1].text}\n\n({outcomes[-1].seconds:.0f} s)\n", flush=True)
        if page is not None:
            page.write_text(updated(page.read_text(), outcomes[-1:], NAMES, stamp))
    if page is not None:
        print(goals_table({name: raw_of(page.read_text(), name) for name in NAMES}))
    else:
        print(goals_table({each.name: each.raw for each in outcomes if each.raw is not None}))
    if given.quick:
        print("\nQuick runs prove that the benches work; their figures mean nothing.")


if __name__ == "__main__":
    main()
