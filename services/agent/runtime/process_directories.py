"""The instances that the process runtime finds on disk, whoever started them."""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from services.agent.runtime.cgroups import ControlGroups
from services.agent.runtime.port import Exit, Running
from services.agent.runtime.process_state import InstanceDirectory, exit_from, kill_leftovers, running_from

log = logging.getLogger(__name__)


class Directories:
    """All instances below one directory. Every method blocks on the file system."""

    def __init__(self, root: Path, address: str, control_groups: ControlGroups | None) -> None:
        self._root, self._address, self._control_groups = root, address, control_groups
        # Looking and starting exclude each other: half a start is not to be taken for an end.
        self.mutex = threading.RLock()

    def of(self, instance: str) -> InstanceDirectory:
        return InstanceDirectory(self._root / instance)

    def launchers(self, running: Sequence[Running]) -> dict[str, int]:
        """The pids of the living launchers, by instance."""
        found = {each.id: self.of(each.id).monitor() for each in running}
        return {instance: pid for instance, pid in found.items() if pid is not None}

    def scan(self) -> list[Running]:
        """What runs and what ended. What a killed agent began and never started is removed."""
        found: list[Running] = []
        with self.mutex:
            if not self._root.is_dir():
                return found
            for path in sorted(self._root.iterdir()):
                running = self._look(InstanceDirectory(path))
                if running is not None:
                    found.append(running)
        return found

    def remove(self, directory: InstanceDirectory) -> None:
        """Kills what is left of the instance and removes everything. Safe to repeat."""
        with self.mutex:
            if directory.path.exists():
                kill_leftovers(directory.path)
                directory.remove()
                if self._control_groups is not None:
                    self._control_groups.remove(directory.instance)

    def _look(self, directory: InstanceDirectory) -> Running | None:
        """None for what is no instance."""
        if not directory.path.is_dir():
            return None
        state, alive = directory.read("state.json"), directory.alive()
        try:
            if state is not None:
                ended = None if alive else _exit_of(directory, state)
                return running_from(directory.instance, state, self._address, ended)
        except (KeyError, TypeError, ValueError):
            log.warning("not a state of this version", extra={"directory": str(directory.path)})
        if not alive:
            self.remove(directory)
        return None


def _exit_of(directory: InstanceDirectory, state: Mapping[str, Any]) -> Exit:
    said = directory.read("exit.json")
    if said is None:
        kill_leftovers(directory.path)
        said = {"at": time.time(), "lost": True}
        try:
            directory.write("exit.json", said)
        except OSError:  # Known again at the next look, and then the same, so that tries become rarer.
            said["at"] = state["started_at"]
    return exit_from(said, state["memory_mib"])
