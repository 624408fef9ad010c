"""The launchers of a node's instances: starting them, and hearing of their end at once."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from services.agent.runtime.process_state import MARKER, InstanceDirectory

_ROOT = Path(__file__).parents[3]
_RUN = (
    f"import sys; sys.path.insert(0, {str(_ROOT)!r}); "
    "from services.agent.runtime.launcher.main import main; main(sys.argv[1])"
)
_LOOK_AGAIN = 0.05


class Launchers:
    """Tells `ended` the instance whose launcher ended, also of those that an earlier agent started."""

    def __init__(self, ended: Callable[[str], None]) -> None:
        self._ended = ended
        self._watched: dict[str, int] = {}
        self._own: dict[str, subprocess.Popen[bytes]] = {}
        self._closed = False

    def spawn(self, directory: Path, lock: int) -> None:
        """Starts a launcher that inherits the lock. Blocks until it exists. Raises OSError."""
        with (directory / "launcher.log").open("ab") as said:
            self._own[directory.name] = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _RUN, str(directory)],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env={"PATH": "/usr/bin:/bin", MARKER: str(directory)},
                cwd="/",
                pass_fds=[lock],
                start_new_session=True,
            )

    def watch(self, directory: InstanceDirectory) -> None:
        """Safe to repeat. An instance whose launcher is not known yet is looked at again soon."""
        instance = directory.instance
        if instance in self._watched or self._closed:
            return
        own = self._own.get(instance)
        pid = own.pid if own is not None else directory.monitor()
        loop = asyncio.get_running_loop()
        try:
            if pid is None:
                raise ProcessLookupError
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            if directory.path.is_dir() and directory.alive():
                loop.call_later(_LOOK_AGAIN, self.watch, directory)
            else:
                self._ended(instance)
            return
        self._watched[instance] = descriptor
        loop.add_reader(descriptor, self._gone, instance)

    def close(self) -> None:
        """Stops watching; every launcher runs on."""
        self._closed = True
        for instance in list(self._watched):
            self._forget(instance)

    def _gone(self, instance: str) -> None:
        self._forget(instance)
        own = self._own.get(instance)
        # A launcher that was started anew meanwhile lives on, and stays to be reaped.
        if own is not None and own.poll() is not None:
            del self._own[instance]
        self._ended(instance)

    def _forget(self, instance: str) -> None:
        descriptor = self._watched.pop(instance)
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
