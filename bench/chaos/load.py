"""Steady load from k6 beside whatever a run does, and what became of each request."""

import json
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from bench.venvs import ensure, environment

HERE = Path(__file__).parent
KINDS = ("http", "sse", "grpc")
_ENDS_WITHIN_S = 60.0


class LoadBroke(Exception):
    """k6 itself did not work; the sentence has its words."""


@dataclass
class Counts:
    """Requests with a whole right answer, and those without, by kind. `problems` are failures in words."""

    done: dict[str, int] = field(default_factory=dict)
    failed: dict[str, int] = field(default_factory=dict)
    dropped: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def failures(self) -> int:
        """Everything that a client would call a failure, also what could not be sent in time."""
        return sum(self.failed.values()) + self.dropped


class Load:
    """One run of k6. `over` tells whether it ended before it was waited for."""

    def __init__(self, process: "subprocess.Popen[str]", summary: Path, log: Path) -> None:
        self._process, self._summary, self._log = process, summary, log
        self.counts = Counts()

    @property
    def over(self) -> bool:
        return self._process.poll() is not None

    def finish(self, seconds: float) -> None:
        """Waits for k6 to end by itself and reads what it counted. Raises LoadBroke."""
        try:
            self._process.wait(seconds + _ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise LoadBroke(f"k6 did not end: {_last(self._log)}") from None
        if self._process.returncode != 0 or not self._summary.exists():
            raise LoadBroke(f"k6 ended with {self._process.returncode}: {_last(self._log)}")
        said = json.loads(self._summary.read_text())
        self.counts = Counts(
            done={kind: said[kind]["done"] for kind in KINDS},
            failed={kind: said[kind]["failed"] for kind in KINDS},
            dropped=said["dropped"],
            problems=[line for line in self._log.read_text().splitlines() if "level=error" in line],
        )


@contextmanager
def steady_load(gateway: str, token: str, group_token: str, seconds: float) -> Iterator[Load]:
    """Load on the chaos services and their group behind `gateway` for so long; counted at the end."""
    k6 = ensure("k6") / "k6"
    with tempfile.TemporaryDirectory(prefix="easel-chaos-") as folder:
        summary, log = Path(folder) / "summary.json", Path(folder) / "log"
        settings = {
            "GATEWAY": urlsplit(gateway).netloc,
            "TOKEN": token,
            "GROUP_TOKEN": group_token,
            "SECONDS": f"{seconds:g}",
            "SUMMARY": str(summary),
            "PROTOS": str(HERE),
            "K6_NO_USAGE_REPORT": "true",
        }
        with log.open("w") as output:
            process = subprocess.Popen(
                [k6, "run", "--quiet", "--address", "", str(HERE / "load.js")],
                env=environment(settings),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
            )
        try:
            load = Load(process, summary, log)
            yield load
            load.finish(seconds)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def _last(log: Path) -> str:
    return " / ".join(log.read_text().splitlines()[-3:])
