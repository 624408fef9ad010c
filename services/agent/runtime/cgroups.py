"""Memory and CPU bounds through control groups (version 2), where a group is delegated to the agent."""

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
