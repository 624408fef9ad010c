"""Which tests run here, and which of them beside each other.

A test names the part it needs with a marker (`@pytest.mark.docker`). Where the part is missing the test is
skipped with the reason; where EASEL_TEST_REQUIRE names the part (or says `all`), it fails instead.

In a run on several processes (`make test`), the tests of a file stay in one process and share what they
started. So do all files that use Docker Engine: what one leaves behind on it must not be another's.
"""

import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from tests.support.browser import BROWSERS

_ROOT = Path(__file__).parents[1]


class Part(NamedTuple):
    """Something of the machine that tests may need; `missing` says in one sentence what is not there."""

    name: str
    needs: str
    missing: Callable[[], str]


def _answers(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def _docker_missing() -> str:
    if not _answers("docker", "version", "--format", "{{.Server.Version}}"):
        return "no Docker Engine answers `docker version`"
    if not _answers("docker", "image", "inspect", "python:3.11-slim"):
        return "the image python:3.11-slim is not on this machine (docker pull python:3.11-slim)"
    return ""


def _compose_missing() -> str:
    if _answers("docker", "compose", "version") or _answers("docker-compose", "version"):
        return _docker_missing()
    return "neither `docker compose` nor `docker-compose` is installed"


def _postgres_missing() -> str:
    if shutil.which("initdb") or list(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        return ""
    return "no PostgreSQL server binaries (initdb) on PATH or under /usr/lib/postgresql"


def _namespaces_missing() -> str:
    if platform.system() == "Linux" and _answers("unshare", "--user", "--map-root-user", "--mount", "true"):
        return ""
    return "the kernel does not let this user create mount namespaces (unshare --user --mount)"


def _compiler_missing() -> str:
    return "" if shutil.which("gcc") or shutil.which("cc") else "no C compiler (gcc or cc) on PATH"


def _browser_missing() -> str:
    found = any(shutil.which(name) for name in BROWSERS)
    return "" if found else f"no browser on PATH ({', '.join(BROWSERS)})"


def _prometheus_missing() -> str:
    lacking = [name for name in ("prometheus", "promtool", "amtool") if not shutil.which(name)]
    return f"not on PATH: {', '.join(lacking)}" if lacking else ""


PARTS = (
    Part("docker", "a Docker Engine that answers, with the image python:3.11-slim", _docker_missing),
    Part("compose", "docker-compose or docker compose, with an engine", _compose_missing),
    Part("postgres", "PostgreSQL server binaries", _postgres_missing),
    Part("namespaces", "user and mount namespaces", _namespaces_missing),
    Part("compiler", "a C compiler", _compiler_missing),
    Part("browser", "Chromium, which runs headless", _browser_missing),
    Part("prometheus", "Prometheus with promtool, and amtool of Alertmanager", _prometheus_missing),
)


@cache
def _missing(name: str) -> str:
    return next(part.missing() for part in PARTS if part.name == name)


def _required() -> set[str]:
    named = {name.strip() for name in os.environ.get("EASEL_TEST_REQUIRE", "").split(",") if name.strip()}
    known = {part.name for part in PARTS}
    if unknown := named - known - {"all"}:
        raise pytest.UsageError(
            f"EASEL_TEST_REQUIRE names {sorted(unknown)}; known are all, {', '.join(known)}"
        )
    return known if "all" in named else named


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-golden", action="store_true", help="write the golden files anew")


def pytest_configure(config: pytest.Config) -> None:
    _required()
    _keep_compiled_modules()
    for part in PARTS:
        config.addinivalue_line("markers", f"{part.name}: needs {part.needs}")


def _keep_compiled_modules() -> None:
    """For the hundreds of processes that tests start: compiling anew is most of the start of each."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ.setdefault("PYTHONPYCACHEPREFIX", str(_ROOT / ".pytest_cache" / "bytecode"))


class OneProcessForAFile(LoadFileScheduling):  # type: ignore[misc]
    """Gives the processes whole files, and all files that use Docker Engine to one of them."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "engine" if _uses_engine(file) else file


@cache
def _uses_engine(file: str) -> bool:
    text = (_ROOT / file).read_text(encoding="utf-8")
    return "mark.docker" in text or "mark.compose" in text


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> OneProcessForAFile:
    return OneProcessForAFile(config, log)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for part in PARTS:
        if item.get_closest_marker(part.name) is None or not (reason := _missing(part.name)):
            continue
        if part.name in _required():
            pytest.fail(f"{part.name} is required by EASEL_TEST_REQUIRE, but {reason}", pytrace=False)
        pytest.skip(reason)
