"""A stand-in driver library, and programs that meet it through the real binding."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]


def build_stub(directory: Path) -> Path:
    """Compiles the library into `directory`, which can then be put on LD_LIBRARY_PATH."""
    library = directory / "libnvidia-ml.so.1"
    source = Path(__file__).parent / "nvml.c"
    command = [
        "gcc",
        "-shared",
        "-fPIC",
        "-O1",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-o",
        str(library),
        str(source),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return directory


def run_beside_driver(libraries: Path, program: str, **stub: str) -> Any:
    """Runs Python text in a process whose driver is the stub; what it prints, read as JSON."""
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "LD_LIBRARY_PATH": str(libraries), **stub},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)
