"""How the process runtime starts a run: its port, its control group, its files, then its launcher."""

import errno
import os
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any

from libs.domain.causes import Cause
from services.agent.runtime.launchers import Launchers
from services.agent.runtime.port import Attempt, StartFailed
from services.agent.runtime.process_directories import Directories
from services.agent.runtime.process_launch import Place, ProcessSettings, launch_of
from services.agent.runtime.process_state import state_of
from services.agent.runtime.sockets import is_free
from services.agent.workload import Workload


class Starter:
    """Starts runs, one at a time."""

    def __init__(self, settings: ProcessSettings, directories: Directories, launchers: Launchers) -> None:
        self._settings, self._directories, self._launchers = settings, directories, launchers

    def start(self, workload: Workload, attempt: Attempt, venv: Path | None) -> dict[str, Any]:
        """The state of the run; of one that lives already where there is one. Blocks for some milliseconds.

        Everything is on disk before the launcher is started. Raises StartFailed.
        """
        directory = self._directories.of(workload.id)
        with self._directories.mutex:
            try:
                directory.create()
                lock = directory.lock()
                if lock is None:
                    return directory.read("state.json") or {}
                try:
                    port, group = self._port(workload), self._control_group(workload)
                    place = Place(directory, port, venv, group, lock, self._settings.log_bytes)
                    return self._launch(workload, attempt, place)
                finally:
                    os.close(lock)
            except OSError as refused:
                full = refused.errno == errno.ENOSPC
                why = f"could not start: {refused}"
                raise StartFailed(why, Cause.NO_SPACE if full else None) from refused

    def _launch(self, workload: Workload, attempt: Attempt, place: Place) -> dict[str, Any]:
        launch = launch_of(workload, self._settings.inherited, place)
        directory = place.directory
        directory.forget_run()
        state = state_of(workload, attempt, place.port, datetime.now(UTC))
        directory.write("launch.json", launch)
        directory.write("state.json", state)
        self._launchers.spawn(directory.path, place.lock)
        return state

    def _control_group(self, workload: Workload) -> str:
        groups = self._settings.control_groups
        if groups is None or not (workload.memory_mib or workload.cpu_milli):
            return ""
        return groups.create(workload.id, workload.memory_mib, workload.cpu_milli)

    def _port(self, workload: Workload) -> int:
        """Raises StartFailed when another program has the port."""
        if not workload.port:
            return 0
        if workload.host_port:
            if is_free(workload.host_port):
                return workload.host_port
            why = f"port {workload.host_port} is taken by {self._holder(workload.host_port)} of this node"
            raise StartFailed(why, Cause.PORT_TAKEN)
        known = {running.id: running.port for running in self._directories.scan()}
        before = known.pop(workload.id, 0)
        for port in chain((before,) if before else (), self._settings.ports):
            if port not in known.values() and is_free(port):
                return port
        why = f"no free port in {self._settings.ports.start}-{self._settings.ports.stop - 1}"
        raise StartFailed(why, Cause.PORT_TAKEN)

    def _holder(self, port: int) -> str:
        found = self._directories.scan()
        near = (running for running in found if running.exit is None and running.port == port)
        return next((f"instance {running.id}" for running in near), "another program")
