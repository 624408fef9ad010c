"""What is measured on the same trivial model: Easel, and what a user would pick instead.

Every contender is as it comes, except for what favours it: no log line for each request, one worker, no
dashboard; Ray Serve gets its processor time at the same priority as everyone else, and may work on as many
requests at once as the load generator has connections (with its own five it refuses and retries most of
them, and serves a quarter as many). Usage reports are switched off: nothing may leave this machine.
"""

import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

from bench.machine import PLATFORM_CORE, pinned
from bench.processes import end, family
from bench.venvs import LOCKS, ensure, environment, pinned_version
from easel_sdk import Easel
from tests.support.embedded import embedded_easel
from tests.support.free_ports import free_port

BODY = json.dumps({"instances": [[1.0, 2.0, 3.0, 4.0]]})
ANSWER = {"predictions": [10.0]}
TOKEN = "a-token-of-the-bench"
_START_WITHIN_S = 120.0


@dataclass(frozen=True)
class Target:
    """Something that answers, and the processes that it takes."""

    name: str
    version: str
    url: str
    headers: Mapping[str, str]
    pids: Sequence[int]
    # Whether the processes are its alone, and may be stopped while another one is measured.
    alone: bool = True
    pausable: bool = True

    def processes(self) -> list[psutil.Process]:
        return list({process for pid in self.pids for process in family(pid)})


@dataclass(frozen=True)
class Peer:
    """A serving program in an environment of its own. `{port}` and `{home}` are filled in."""

    name: str
    venv: str
    package: str
    command: Sequence[str]
    path: str
    environ: Mapping[str, str] = field(default_factory=dict)


_KSERVE = Peer(
    "KServe (Python server)",
    "kserve",
    "kserve",
    ("python", str(LOCKS / "kserve_server.py"), "{port}"),
    "/v1/models/sums:predict",
)
_RAY = Peer(
    "Ray Serve (default proxy)",
    "ray_serve",
    "ray",
    ("python", str(LOCKS / "ray_serve_server.py"), "{port}", "{home}"),
    "/",
    {"RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0"},
)
_LITSERVE = Peer(
    "LitServe",
    "litserve",
    "litserve",
    ("python", str(LOCKS / "litserve_server.py"), "{port}"),
    "/predict",
)
_BENTOML = Peer(
    "BentoML",
    "bentoml",
    "bentoml",
    (
        *("python", "-m", "bentoml", "serve", "bentoml_server:Sums"),
        *("--working-dir", str(LOCKS), "--host", "127.0.0.1", "--port", "{port}"),
    ),
    "/predict",
    {"BENTOML_DO_NOT_TRACK": "True"},
)
PEERS = (_KSERVE, _LITSERVE, _BENTOML, _RAY)


@contextmanager
def running_peer(peer: Peer, home: Path) -> Iterator[Target]:
    """Installs it if needed and starts it on the platform's core. Raises NotInstalled or NotAnswering."""
    binaries, port = ensure(peer.venv), free_port()
    program, *rest = (word.format(port=port, home=home) for word in peer.command)
    home.mkdir(parents=True, exist_ok=True)
    quiet = {"DO_NOT_TRACK": "1", "HOME": str(home), "TMPDIR": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    path = f"{binaries}:/usr/local/bin:/usr/bin:/bin"
    with (home / "log").open("wb") as log, pinned(PLATFORM_CORE):
        process = subprocess.Popen(
            [str(binaries / program), *rest],
            env=environment({**quiet, **peer.environ, "PATH": path}),
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        target = Target(
            peer.name,
            pinned_version(peer.venv, peer.package),
            f"http://127.0.0.1:{port}{peer.path}",
            {"Content-Type": "application/json"},
            (process.pid,),
        )
        until_answering(target, home / "log", process)
        yield target
    finally:
        end(process.pid)


@contextmanager
def running_easel(home: Path) -> Iterator[tuple[Target, Target]]:
    """Easel, all of it on the platform's core, with the model in uvicorn as a service; and that uvicorn."""
    python, port = ensure("uvicorn") / "python", free_port()
    script = f"{python} -m uvicorn --app-dir {LOCKS} asgi_server:app --no-access-log --log-level warning"
    spec = {
        "metadata": {"name": "sums", "instance": 1, "cpu": 0.5, "memory": 256},
        "token": TOKEN,
        "containers": [{"image": "none", "script": f"{script} --host 127.0.0.1 --port {port}", "port": port}],
    }
    with ExitStack() as owned:
        with pinned(PLATFORM_CORE):
            running = owned.enter_context(embedded_easel(home))
        with Easel.of(running.context) as client:
            client.services.create(spec)
        kind = {"Content-Type": "application/json"}
        url = f"{running.context.gateway}/api/predict/sums"
        through = Target("Easel", "this one", url, {**kind, "Authorization": TOKEN}, (), pausable=False)
        until_answering(through, running.data_dir / "easel.log")
        through = replace(through, pids=tuple(process.pid for process in running.processes()))
        yield (
            through,
            replace(
                through,
                name="uvicorn alone",
                version=pinned_version("uvicorn", "uvicorn"),
                url=f"http://127.0.0.1:{port}/",
                headers=kind,
                alone=False,
            ),
        )


class NotAnswering(Exception):
    """A contender was started and does not give the right answer."""


def until_answering(target: Target, log: Path, process: "subprocess.Popen[bytes] | None" = None) -> None:
    """Returns once the target gives the right answer. Raises NotAnswering with the end of its log."""
    ends = time.monotonic() + _START_WITHIN_S
    said = "nothing"
    while time.monotonic() < ends and (process is None or process.poll() is None):
        try:
            said = ask(target)
        except (OSError, ValueError) as error:
            said = str(error)
        if said == "":
            return
        time.sleep(0.1)
    last = " ".join(log.read_text(errors="replace").split())[-300:]
    raise NotAnswering(f"{target.name} does not answer: {said}; its log ends with: {last}")


def ask(target: Target) -> str:
    """One request; empty when the answer is right, else what was answered."""
    request = urllib.request.Request(
        target.url, data=BODY.encode(), headers=dict(target.headers), method="POST"
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            content = answer.read().decode()
    except urllib.error.HTTPError as refused:
        return f"status {refused.code}"
    return "" if json.loads(content) == ANSWER else content[:200]
