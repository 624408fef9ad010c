"""Breaks, moves and changes services while three kinds of clients call them, and counts what fails.

    python -m bench.chaos [--stage embedded|compose] [--only WORD] [--page FILE]

Each run is made under steady load: short HTTP requests, three-second streams of server-sent events and gRPC
streams at the same time. The table goes to docs/RELIABILITY.md. Ends with 1 when a request failed.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bench.chaos.load import KINDS, Counts, LoadBroke, steady_load
from bench.chaos.runs import RUNS, Run
from bench.chaos.stages import GROUP, TOKEN, Stage, composed, embedded
from bench.document import put_section
from bench.machine import machine, versions
from bench.venvs import pinned_version
from easel_sdk import Easel

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "RELIABILITY.md"
STAGES: dict[str, Callable[[Path], AbstractContextManager[Stage]]] = {
    "embedded": embedded,
    "compose": composed,
}
# The load is alone with the services for so long before something happens.
_LEAD_S = 2.0


@dataclass
class Outcome:
    """One run: what was seen, what was counted, how long it took to settle."""

    run: str
    seen: str
    seconds: float
    counts: Counts = field(default_factory=Counts)


def made(run: Run, stage: Stage, easel: Easel) -> Outcome:
    """One run under load. Raises LoadBroke when Easel had not settled before the load ended."""
    with steady_load(stage.context.gateway, TOKEN, easel.groups.token(GROUP), run.seconds) as load:
        time.sleep(_LEAD_S)
        began = time.monotonic()
        seen = run.act(stage, easel)
        took = time.monotonic() - began
        if load.over:
            raise LoadBroke(f"the load of {run.seconds:g} s ended before {run.name!r} had settled")
    return Outcome(run.name, seen, took, load.counts)


def table(outcomes: list[Outcome]) -> str:
    heads = ["what happened", "seen", *(f"{kind} done" for kind in KINDS), "failed", "settled after"]
    rows = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for outcome in outcomes:
        done = [str(outcome.counts.done.get(kind, 0)) for kind in KINDS]
        cells = [
            outcome.run,
            outcome.seen,
            *done,
            f"**{outcome.counts.failures}**",
            f"{outcome.seconds:.1f} s",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def staged(name: str, only: str) -> list[Outcome]:
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="easel-chaos-") as home, STAGES[name](Path(home)) as stage:
        print(f"== {stage.name}", flush=True)
        for run in RUNS:
            if only not in run.name:
                continue
            with Easel.of(stage.context) as easel:
                outcomes.append(made(run, stage, easel))
            print(table(outcomes[-1:]).splitlines()[-1], flush=True)
            for problem in outcomes[-1].counts.problems[:10]:
                print(f"   {problem}", flush=True)
    return outcomes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--stage", choices=STAGES, action="append", help="where; both without it")
    parser.add_argument(
        "--only", default="", help="only runs whose name contains this; the page is left alone"
    )
    parser.add_argument("--page", type=Path, default=PAGE, help="the page to refresh")
    given = parser.parse_args()
    failures = 0
    for name in given.stage or STAGES:
        outcomes = staged(name, given.only)
        failures += sum(outcome.counts.failures for outcome in outcomes)
        if not given.only:
            stamp = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
            k6 = pinned_version("k6", "k6")
            told = [
                f"`python -m bench.chaos --stage {name}`, {stamp}.",
                f"Machine: {_listed(machine())}. Versions: {_listed({**versions(), 'k6': k6})}.",
            ]
            text = "\n".join([*told, "", table(outcomes)])
            given.page.write_text(put_section(given.page.read_text(), name, text))
    print(f"{failures} requests failed")
    sys.exit(failures > 0)


def _listed(facts: dict[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in facts.items())


if __name__ == "__main__":
    main()
