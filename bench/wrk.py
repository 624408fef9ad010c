"""The load generator wrk: as many requests as a target takes, from one thread on its own core."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.machine import LOAD_CORE, pinned

_SCRIPT = """
wrk.method = "POST"
wrk.body = {body}
{headers}
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\n@{{"requests":%d,"us":%d,"p50_us":%d,"p99_us":%d,"failed":%d}}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


@dataclass(frozen=True)
class Burst:
    """One run of wrk. `failed` counts every request without a good answer."""

    per_second: float
    p50_ms: float
    p99_ms: float
    failed: int


def missing() -> str:
    """Why wrk cannot be used; empty when it can."""
    return "" if shutil.which("wrk") else "wrk is not installed (the Debian package wrk has it)"


def burst(
    url: str, body: str, headers: Mapping[str, str], seconds: int, connections: int, core: int = LOAD_CORE
) -> Burst:
    """Loads the target; the load generator stays on `core`."""
    lines = "\n".join(f"wrk.headers[{_lua(name)}] = {_lua(value)}" for name, value in headers.items())
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(_SCRIPT.format(body=_lua(body), headers=lines))
        script.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
        with pinned(core):
            done = subprocess.run(
                [*command, "-s", str(Path(script.name)), url],
                capture_output=True,
                text=True,
                timeout=seconds + 30,
                check=True,
            )
    said = json.loads(done.stdout.partition("\n@")[2])
    good = said["requests"] - said["failed"]
    return Burst(good / said["us"] * 1e6, said["p50_us"] / 1000, said["p99_us"] / 1000, int(said["failed"]))


def _lua(text: str) -> str:
    return json.dumps(text)
