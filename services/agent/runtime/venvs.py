"""Virtual environments for workloads of the process runtime, one for each set of requirements."""

import asyncio
import errno
import hashlib
import os
import shutil
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

from services.agent.runtime.port import PrepareFailed
from services.agent.runtime.process_state import MARKER, kill_leftovers
from services.agent.runtime.threads import FILES_WITHIN, in_own_thread

_LINES_SHOWN = 5
_LONGEST = 1 << 20
_COMPLETE = ".complete"


class Venvs:
    """Builds virtual environments below `directory`, one at a time, and keeps them for later instances."""

    def __init__(
        self, directory: Path, python: str, environment: Mapping[str, str], within: timedelta
    ) -> None:
        self._directory, self._python, self._within = directory, python, within
        self._environment = dict(environment)
        self._one = asyncio.Lock()

    async def ensure(
        self, requirements: Sequence[str], file: Path | None, tell: Callable[[str], None]
    ) -> Path:
        """The environment that has these requirements, and those of `file`, installed.

        Raises PrepareFailed with the last lines that the installer wrote.
        """
        listed = await _read(file) if file is not None else b""
        venv = self._directory / _key(self._python, requirements, file, listed)
        async with self._one:
            if await asyncio.to_thread(_is_complete, venv):
                return venv
            wanted = [*requirements, *(["-r", str(file)] if file is not None else [])]
            tell(f"installing {' '.join(wanted)}")
            # An agent that was killed leaves its installer behind.
            await asyncio.to_thread(kill_leftovers, venv)
            await asyncio.to_thread(shutil.rmtree, venv, ignore_errors=True)
            self._directory.mkdir(parents=True, exist_ok=True)
            for command in _commands(self._python, venv, wanted):
                await self._run(command, venv)
            (venv / _COMPLETE).write_text(str(venv), encoding="utf-8")
        return venv

    async def _run(self, command: list[str], venv: Path) -> None:
        starting = asyncio.ensure_future(
            asyncio.create_subprocess_exec(
                *command,
                env={**self._environment, MARKER: str(venv)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        )
        try:
            # A start that is cancelled half-way would wait for its own end for ever.
            builder = await asyncio.shield(starting)
            said, _ = await asyncio.wait_for(builder.communicate(), self._within.total_seconds())
        except TimeoutError:
            raise PrepareFailed(f"installing the requirements did not end within {self._within}") from None
        finally:
            builder = await starting
            if builder.returncode is None:
                # With what it started: that holds its output open, and goes on writing.
                kill_leftovers(venv)
                await builder.wait()
        if builder.returncode != 0:
            raise PrepareFailed(f"the requirements could not be installed: {_last_lines(said)}")


def _commands(python: str, venv: Path, wanted: Sequence[str]) -> list[list[str]]:
    inside = str(venv / "bin" / "python")
    uv = _uv()
    if uv is None:
        return [
            [python, "-m", "venv", str(venv)],
            [inside, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", *wanted],
        ]
    return [
        [uv, "venv", "--quiet", "--no-config", "--python", python, str(venv)],
        [uv, "pip", "install", "--quiet", "--python", inside, *wanted],
    ]


def _uv() -> str | None:
    beside = Path(sys.executable).parent / "uv"
    return str(beside) if beside.exists() else shutil.which("uv")


def _key(python: str, requirements: Sequence[str], file: Path | None, listed: bytes) -> str:
    parts = (python, *sorted(requirements), str(file or ""), listed.decode(errors="replace"))
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


def _is_complete(venv: Path) -> bool:
    """Whether it was built to its end, in this place and for a Python that is still there."""
    try:
        built = (venv / _COMPLETE).read_text(encoding="utf-8")
    except OSError:
        return False
    return built == str(venv) and (venv / "bin" / "python").exists()


async def _read(file: Path) -> bytes:
    try:
        return await asyncio.wait_for(in_own_thread(partial(_content, file)), FILES_WITHIN)
    except OSError as missing:
        why = missing.strerror or f"no answer within {FILES_WITHIN:g} s"
        raise PrepareFailed(
            f"prepare.pythonRequirementsPath: cannot read {file} on the node: {why}"
        ) from missing


def _content(file: Path) -> bytes:
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as opened:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a file")
        content = opened.read(_LONGEST + 1)
    if len(content) > _LONGEST:
        raise OSError(errno.EFBIG, f"more than {_LONGEST >> 20} MiB")
    return content


def _last_lines(said: bytes) -> str:
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    return "; ".join(lines[-_LINES_SHOWN:])[-1000:] or "the installer said nothing"
