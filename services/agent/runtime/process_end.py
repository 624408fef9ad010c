"""How the process runtime ends a program: it is asked, then it is killed, then its launcher."""

import asyncio
import os
import signal
import time
from contextlib import suppress
from datetime import timedelta

from services.agent.runtime.process_state import InstanceDirectory, kill_leftovers

_WITHOUT_SIGTERM = timedelta(seconds=1)
_KILLED_WITHIN = timedelta(seconds=8)
_BORN_WITHIN = 5.0
_LOOK_EVERY = 0.01


async def end(directory: InstanceDirectory, grace: timedelta, sigterm: bool) -> None:
    """Returns when it has ended, or has outlived every signal. Safe to repeat, also for what has ended."""
    if await asyncio.to_thread(_tell, directory, signal.SIGTERM):
        await _ended(directory, grace if sigterm else min(grace, _WITHOUT_SIGTERM))
    if await asyncio.to_thread(_tell, directory, signal.SIGUSR1):
        await _ended(directory, _KILLED_WITHIN)
    if await asyncio.to_thread(_tell, directory, signal.SIGKILL):
        await _ended(directory, _KILLED_WITHIN)


def _tell(directory: InstanceDirectory, number: signal.Signals) -> bool:
    """Signals the launcher; False when none is alive. Waits for one that is just being born."""
    ends = time.monotonic() + _BORN_WITHIN
    while directory.path.is_dir() and directory.alive():
        pid = directory.monitor()
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
            return True
        if time.monotonic() > ends:
            kill_leftovers(directory.path)
            return True
        time.sleep(_LOOK_EVERY)
    return False


async def _ended(directory: InstanceDirectory, within: timedelta) -> None:
    ends = time.monotonic() + within.total_seconds()
    while await asyncio.to_thread(directory.alive):
        if time.monotonic() > ends:
            return
        await asyncio.sleep(_LOOK_EVERY)
