"""Virtual environments for workloads of the process runtime, one for each set of requirements."""

import asyncio
import errno
import hashlib
import logging
import os
import shutil
import stat
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

import psutil

from libs.domain.causes import Cause
from libs.domain.states import InstanceState
from services.agent.runtime.port import Phase, PrepareFailed
from services.agent.runtime.process_state import MARKER, kill_leftovers
from services.agent.runtime.threads import FILES_WITHIN, in_own_thread

log = logging.getLogger(__name__)

UNUSED_AFTER = timedelta(days=7)
_LOOK_EVERY = 1.0
_LINES_SHOWN = 5
_LONGEST = 1 << 20
_COMPLETE = ".complete"


class Venvs:
    """Builds virtual environments below `directory`, one at a time, and keeps them for later instances."""

    def __init__(
        self,
        directory: Path,
        python: str,
        environment: Mapping[str, str],
        unused_after: timedelta = UNUSED_AFTER,
    ) -> None:
        self._directory, self._python = directory, python
        self._environment, self._unused_after = dict(environment), unused_after
        self._one = asyncio.Lock()
        self._waiting: list[Phase] = []

    async def ensure(self, requirements: Sequence[str], file: Path | None, phase: Phase) -> Path:
        """The environment that has these requirements, and those of `file`, installed.

        Raises PrepareFailed with the last lines that the installer wrote.
        """
        listed = await _read(file) if file is not None else b""
        venv = self._directory / _key(self._python, requirements, file, listed)
        self._waiting.append(phase)
        try:
            async with self._one:
                if not await asyncio.to_thread(_is_complete, venv):
                    wanted = [*requirements, *(["-r", str(file)] if file is not None else [])]
                    phase(InstanceState.PREPARING, f"installing {' '.join(wanted)}")
                    await self._build(venv, wanted)
                # When it was used last.
                os.utime(venv / _COMPLETE)
        finally:
            self._waiting.remove(phase)
        return venv

    async def tidy(self, used: Collection[Path]) -> None:
        """Removes environments that no instance has used for a while; those in use begin to count anew."""
        async with self._one:
            await asyncio.to_thread(self._tidy, used)

    def _tidy(self, used: Collection[Path]) -> None:
        for venv in self._directory.iterdir() if self._directory.is_dir() else ():
            mark = venv / _COMPLETE
            with suppress(OSError):
                if venv in used:
                    os.utime(mark)
                    continue
                last = (mark if mark.exists() else venv).stat().st_mtime
                if time.time() - last >= self._unused_after.total_seconds():
                    kill_leftovers(venv)
                    shutil.rmtree(venv, ignore_errors=True)
                    log.info("an environment was removed", extra={"venv": venv.name, "why": "it is unused"})

    async def _build(self, venv: Path, wanted: list[str]) -> None:
        # An agent that was killed leaves its installer behind.
        await asyncio.to_thread(kill_leftovers, venv)
        await asyncio.to_thread(shutil.rmtree, venv, ignore_errors=True)
        self._directory.mkdir(parents=True, exist_ok=True)
        for command in _commands(self._python, venv, wanted):
            await self._run(command, venv)
        (venv / _COMPLETE).write_text(str(venv), encoding="utf-8")

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
            watching = asyncio.create_task(self._watch(builder.pid))
            try:
                said, _ = await builder.communicate()
            finally:
                watching.cancel()
        finally:
            builder = await starting
            if builder.returncode is None:
                # With what it started: that holds its output open, and goes on writing.
                kill_leftovers(venv)
                await builder.wait()
        if builder.returncode != 0:
            why = f"the requirements could not be installed: {_last_lines(said)}"
            raise PrepareFailed(why, Cause.REQUIREMENTS_FAILED)

    async def _watch(self, builder: int) -> None:
        """Says that the installer goes forward, to all that wait for it or for its end."""
        before = 0
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            now = await asyncio.to_thread(_work_of, builder)
            if now != before:
                before = now
                for phase in self._waiting:
                    phase.moved()


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
        return await asyncio.wait_for(in_own_thread(partial(content_of, file)), FILES_WITHIN)
    except OSError as missing:
        why = missing.strerror or f"no answer within {FILES_WITHIN:g} s"
        raise PrepareFailed(
            f"prepare.pythonRequirementsPath: cannot read {file} on the node: {why}",
            Cause.REQUIREMENTS_FAILED,
        ) from missing


def content_of(file: Path, longest: int = _LONGEST) -> bytes:
    """A file of the host, of no other kind and no longer. Blocks; raises OSError."""
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as opened:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a file")
        content = opened.read(longest + 1)
    if len(content) > longest:
        raise OSError(errno.EFBIG, f"more than {longest >> 20} MiB")
    return content


def _work_of(builder: int) -> int:
    """What an installer has done so far, in tenths of a second of CPU and KiB read and written. Blocks."""
    done = 0
    with suppress(psutil.Error):
        first = psutil.Process(builder)
        for process in (first, *first.children(recursive=True)):
            with suppress(psutil.Error):
                times, moved = process.cpu_times(), process.io_counters()
                done += int((times.user + times.system) * 10) + (moved.read_chars + moved.write_chars >> 10)
    return done


def _last_lines(said: bytes) -> str:
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    return "; ".join(lines[-_LINES_SHOWN:])[-1000:] or "the installer said nothing"
