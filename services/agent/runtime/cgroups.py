"""Control groups: memory and CPU bounds where a group (version 2) is delegated, and what a group uses."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PERIOD_US = 100_000


@dataclass(frozen=True)
class ControlGroups:
    """The groups of instances, one each, below `parent`."""

    parent: Path

    @classmethod
    def below(cls, parent: Path) -> "ControlGroups | None":
        """None when the kernel, or the lack of a right, keeps memory and CPU from being bounded there."""
        try:
            parent.mkdir(exist_ok=True)
            for group in (parent.parent, parent):
                enabled = (group / "cgroup.subtree_control").read_text().split()
                if not {"memory", "cpu"} <= set(enabled):
                    (group / "cgroup.subtree_control").write_text("+memory +cpu")
        except OSError:
            return None
        return cls(parent)

    def create(self, instance: str, memory_mib: int, cpu_milli: int) -> str:
        """The path of a new group with these bounds (0: none). Raises OSError."""
        self.remove(instance)  # With what the kernel counted of an earlier run.
        group = self.parent / instance
        group.mkdir(exist_ok=True)
        (group / "memory.max").write_text(str(memory_mib << 20) if memory_mib else "max")
        (group / "memory.oom.group").write_text("1")
        quota = str(cpu_milli * _PERIOD_US // 1000) if cpu_milli else "max"
        (group / "cpu.max").write_text(f"{quota} {_PERIOD_US}")
        return str(group)

    def remove(self, instance: str) -> None:
        """Removes the group that a killed launcher left. Safe to repeat; one with processes stays."""
        with suppress(OSError):
            (self.parent / instance).rmdir()


@dataclass(frozen=True)
class Spent:
    """What the processes of a control group use."""

    cpu_seconds: float
    # Without the part of the page cache that nothing has touched for a while.
    memory_bytes: int


def spent_in(group: Path) -> Spent | None:
    """Of a group of version 2; None when it cannot be read. Blocks shortly."""
    try:
        microseconds = _entries(group / "cpu.stat")["usage_usec"]
        used = int((group / "memory.current").read_bytes())
        idle = _entries(group / "memory.stat").get("inactive_file", 0)
    except (OSError, ValueError, KeyError):
        return None
    return Spent(microseconds / 1e6, max(0, used - idle))


def spent_in_old(cpu: Path, memory: Path) -> Spent | None:
    """Of the two groups of version 1 that one set of processes is in; None when they cannot be read."""
    try:
        nanoseconds = int((cpu / "cpuacct.usage").read_bytes())
        used = int((memory / "memory.usage_in_bytes").read_bytes())
        idle = _entries(memory / "memory.stat").get("total_inactive_file", 0)
    except (OSError, ValueError):
        return None
    return Spent(nanoseconds / 1e9, max(0, used - idle))


def _entries(file: Path) -> dict[str, int]:
    lines = (line.split() for line in file.read_text(encoding="ascii").splitlines())
    return {line[0]: int(line[1]) for line in lines if len(line) == 2}
