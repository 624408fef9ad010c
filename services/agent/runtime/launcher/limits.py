"""The memory bound of one instance: by its control group where there is one, by watching it where not."""

import os

from services.agent.runtime.launcher import tree


def join(cgroup: str) -> None:
    """Moves this process into the control group."""
    with open(os.path.join(cgroup, "cgroup.procs"), "w", encoding="ascii") as file:
        file.write(str(os.getpid()))


class MemoryBound:
    """Tells when the tree used more than `limit_mib` (0: unbounded)."""

    def __init__(self, limit_mib: int, cgroup: str) -> None:
        self._limit, self._cgroup, self._over = limit_mib, cgroup, False
        self.watches = bool(limit_mib) and not cgroup

    def exceeded(self) -> bool:
        """Looks at the tree now. Always False when the kernel holds the bound itself."""
        if self.watches and tree.private_mib(tree.descendants()) > self._limit:
            self._over = True
            return True
        return False

    def was_exceeded(self) -> bool:
        return self._over or self._killed_by_kernel()

    def remove(self) -> None:
        """Removes the control group, which must be empty by now."""
        if self._cgroup:
            try:
                os.rmdir(self._cgroup)
            except OSError:
                return

    def _killed_by_kernel(self) -> bool:
        if not self._cgroup:
            return False
        try:
            with open(os.path.join(self._cgroup, "memory.events"), encoding="ascii") as file:
                counts = dict(line.split() for line in file)
        except OSError:
            return False
        return int(counts.get("oom_kill", 0)) > 0
