"""The virtual environments of what Easel is measured against: one each, every version pinned."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).parent
LOCKS = HERE / "peers"
_WITHIN_S = 900.0
# What the environment may hand on: how to find programs, the package index and its certificates.
_HANDED_ON = ("PATH", "HOME", "LANG", "TMPDIR")
_HANDED_ON_PREFIXES = ("SSL_", "UV_", "PIP_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")


class NotInstalled(Exception):
    """Something cannot be measured because it could not be installed; the sentence says why."""


def environment(more: Mapping[str, str]) -> dict[str, str]:
    """A small environment: what programs need, and `more`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _HANDED_ON or name.startswith(_HANDED_ON_PREFIXES)
    }
    return {**kept, **more}


def ensure(name: str) -> Path:
    """The environment's `bin` directory, with exactly what `peers/NAME.lock` lists. Safe to repeat.

    Raises NotInstalled with the installer's last words.
    """
    venv, lock = HERE / ".venvs" / name, LOCKS / f"{name}.lock"
    made_from = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()
    stamp = venv / ".made-from"
    if stamp.exists() and stamp.read_text() == made_from:
        return venv / "bin"
    shutil.rmtree(venv, ignore_errors=True)
    _uv("venv", "--python", sys.executable, str(venv))
    _uv("pip", "sync", "--python", str(venv / "bin" / "python"), str(lock))
    stamp.write_text(made_from)
    return venv / "bin"


def pinned_version(name: str, package: str) -> str:
    """The version of a package that an environment is pinned to."""
    lines = (LOCKS / f"{name}.lock").read_text().splitlines()
    return next(line.split("==")[1] for line in lines if line.startswith(f"{package}=="))


def _uv(*arguments: str) -> None:
    uv = Path(sys.executable).with_name("uv")
    settings = {"UV_SYSTEM_CERTS": "true", "UV_LINK_MODE": "copy", **_index()}
    try:
        done = subprocess.run(
            [str(uv), *arguments, "--quiet"],
            env=environment({**settings, **{k: v for k, v in os.environ.items() if k.startswith("UV_")}}),
            capture_output=True,
            text=True,
            timeout=_WITHIN_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotInstalled(f"uv could not install it: {error}") from error
    if done.returncode != 0:
        raise NotInstalled(" ".join(done.stderr.split())[-300:])


def _index() -> dict[str, str]:
    """uv reads its own settings only: it is handed the package index that pip uses."""
    configured = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    ).stdout.strip()
    return {"UV_DEFAULT_INDEX": configured} if configured else {}
