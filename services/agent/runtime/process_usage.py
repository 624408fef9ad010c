"""What the process trees of instances use, by one look at all processes of the host."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_ESTABLISHED = b"01"


@dataclass(frozen=True)
class Process:
    """One process as the kernel shows it. With `started`, its pid names no other one."""

    pid: int
    parent: int
    started: int
    # Clock ticks of CPU: its own, and those of the children that it has waited for, with theirs.
    own: int = 0
    reaped: int = 0
    pages: int = 0

    @property
    def name(self) -> tuple[int, int]:
        return self.pid, self.started


@dataclass(frozen=True)
class Counted:
    """The CPU time of one tree so far, in ticks, and the processes as they were when it was counted."""

    ticks: int = 0
    seen: Mapping[tuple[int, int], Process] = field(default_factory=dict)


def counted(before: Counted | None, now: Iterable[Process]) -> Counted:
    """The sum never falls: what ended has its time in it, also where nobody waited for it.

    The kernel adds the time of what ended to the parent that waits for it. The part of it that was counted
    while it ran is not counted again.
    """
    alive = {process.name: process for process in now}
    if before is None:
        return Counted(sum(each.own + each.reaped for each in alive.values()), alive)
    unknown = Process(0, 0, 0)
    known = {name: before.seen.get(name, unknown) for name in alive}
    own = sum(max(0, each.own - known[name].own) for name, each in alive.items())
    reaped = sum(max(0, each.reaped - known[name].reaped) for name, each in alive.items())
    ended = sum(each.own + each.reaped for name, each in before.seen.items() if name not in alive)
    return Counted(before.ticks + own + max(0, reaped - ended), alive)


class Trees:
    """Counts the trees of instances from look to look. Every method blocks shortly; one thread at a time."""

    def __init__(self) -> None:
        self._counted: dict[tuple[str, int], Counted] = {}

    def look(self, launchers: Mapping[str, int]) -> dict[str, tuple[float, int]]:
        """CPU seconds and resident bytes below the launcher of each instance that is alive."""
        found, now = {}, processes()
        below = defaultdict(list)
        for process in now.values():
            below[process.parent].append(process)
        counted_now = {}
        for instance, pid in launchers.items():
            launcher = now.get(pid)
            if launcher is None:
                continue
            run = (instance, launcher.started)
            before = self._counted.get(run)
            tree = {each.name: each for each in _tree_of(pid, below)}
            # One whose parent ended while this look was taken is found again by its name.
            for name in before.seen if before is not None else ():
                there = now.get(name[0])
                if there is not None and there.name == name:
                    tree[name] = there
            # The launcher is the agent's; what it waited for is not.
            tree[launcher.name] = Process(pid, launcher.parent, launcher.started, 0, launcher.reaped)
            counted_now[run] = counted(before, tree.values())
            resident = sum(each.pages for each in tree.values()) * _PAGE
            found[instance] = (counted_now[run].ticks / _TICKS, resident)
        self._counted = counted_now
        return found


def processes() -> dict[int, Process]:
    """Every process of the host, by its pid."""
    found = {}
    # Once a second, of all there are: paths as objects would take longer than the kernel does.
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                    process = _process_of(int(name), file.read())
            except (OSError, ValueError, IndexError):
                continue
            found[process.pid] = process
    return found


def _process_of(pid: int, stat: bytes) -> Process:
    fields = stat[stat.rindex(b")") + 2 :].split()
    return Process(
        pid=pid,
        parent=int(fields[1]),
        started=int(fields[19]),
        own=int(fields[11]) + int(fields[12]),
        reaped=int(fields[13]) + int(fields[14]),
        pages=int(fields[21]),
    )


def _tree_of(root: int, below: Mapping[int, list[Process]]) -> Iterable[Process]:
    look = [root]
    while look:
        for child in below.get(look.pop(), ()):
            yield child
            look.append(child.pid)


def connections_by_port(net: Path = Path("/proc/net")) -> Counter[int]:
    """How many connections are open at each port of this end, by one look at all of them. Blocks shortly."""
    found: Counter[int] = Counter()
    for table in ("tcp", "tcp6"):
        try:
            lines = (net / table).read_bytes().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split(None, 4)
            if fields[3] == _ESTABLISHED:
                found[int(fields[1][-4:], 16)] += 1
    return found
