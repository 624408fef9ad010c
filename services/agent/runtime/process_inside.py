"""What the process runtime does beside a program that runs: commands, connections, signs of life."""

import asyncio
import json
import os
import signal
import sys
import uuid
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from libs.domain.errors import Unavailable
from services.agent.runtime.listeners import tree_of
from services.agent.runtime.port import Activity, Executed
from services.agent.runtime.process_state import MARKER, InstanceDirectory, kill_marked

_ROOT = Path(__file__).parents[3]
_RUN = (
    f"import sys, json; sys.path.insert(0, {str(_ROOT)!r}); "
    "from services.agent.runtime.launcher.inside import main; "
    "main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))"
)
_PROBE = "EASEL_PROBE"
_SHOWN = 4096
_LAST_WORDS_WITHIN = 0.2


async def execute(directory: InstanceDirectory, command: Sequence[str], within: timedelta) -> Executed:
    """See `Runtime`. What the command left running in the background runs on."""
    if not await asyncio.to_thread(_has_begun, directory):
        raise Unavailable("its program has not begun yet, or has ended")
    mark = f"{_PROBE}={uuid.uuid4().hex}"
    starting = asyncio.ensure_future(_spawn(directory, mark, command))
    process: asyncio.subprocess.Process | None = None
    try:
        # A start that is cancelled half-way would wait for its own end for ever.
        process = await asyncio.shield(starting)
        reading = asyncio.create_task(_first_words(process))
        try:
            async with asyncio.timeout(within.total_seconds()):
                code = await process.wait()
            await asyncio.wait([reading], timeout=_LAST_WORDS_WITHIN)
        except TimeoutError:
            return Executed(None)
        finally:
            reading.cancel()
        return Executed(code, reading.result() if reading.done() and not reading.cancelled() else "")
    except OSError as refused:
        raise Unavailable(f"no command can be run on this node now: {refused}") from refused
    finally:
        with suppress(OSError):
            process = process or await starting
            if process.returncode is None:
                await _kill(process, mark)


def _has_begun(directory: InstanceDirectory) -> bool:
    """Whether there is a program beside which a command can run: it has left its launcher's directory."""
    launcher = directory.monitor()
    if launcher is None:
        return False
    try:
        first = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()[:1]
        return bool(first) and Path(f"/proc/{first[0]}/cwd").readlink() != directory.path
    except OSError:
        return False


async def _spawn(
    directory: InstanceDirectory, mark: str, command: Sequence[str]
) -> asyncio.subprocess.Process:
    name, _, value = mark.partition("=")
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-I", "-S", "-c", _RUN, str(directory.path), mark, json.dumps(list(command))),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={"PATH": "/usr/bin:/bin", MARKER: str(directory.path), name: value},
        cwd="/",
        start_new_session=True,
    )


async def _first_words(process: asyncio.subprocess.Process) -> str:
    """The beginning of the output; the rest is taken and dropped, so that nobody waits to write it."""
    assert process.stdout is not None  # noqa: S101
    said = b""
    while part := await process.stdout.read(1 << 16):
        said += part[: _SHOWN - len(said)]
    return said.decode(errors="replace")


async def _kill(process: asyncio.subprocess.Process, mark: str) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await asyncio.to_thread(kill_marked, mark.encode())
    await process.wait()


def activity_of(directory: InstanceDirectory) -> Activity | None:
    """See `Runtime`. Blocks shortly."""
    launcher = directory.monitor()
    if launcher is None:
        return None
    said = ""
    with suppress(OSError):
        said = str(directory.log.stat().st_mtime_ns)
    # The launcher looks at the memory of the others again and again.
    below = (pid for pid in tree_of(launcher) if pid != launcher)
    return Activity(sum(_cpu_milliseconds(pid) + (_bytes_moved(pid) >> 10) for pid in below), said)


def _cpu_milliseconds(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0
    return 1000 * (int(fields[11]) + int(fields[12])) // os.sysconf("SC_CLK_TCK")


def _bytes_moved(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    counts = dict(line.split(": ") for line in lines)
    return int(counts["rchar"]) + int(counts["wchar"])
