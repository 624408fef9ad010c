"""The process tree of one instance: everything below the launcher, also what ran away from its parent."""

import ctypes
import os
import signal
import time

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_GONE_WITHIN = 5.0
_libc = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> None:
    """Makes this process the parent of every orphan below it, so that none gets out of sight."""
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def die_with_parent() -> None:
    """Has the kernel kill this process when its parent ends, however that happens."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def start_ticks(pid: int) -> int:
    """When the process started, in clock ticks since boot: with its pid, an identity that is not reused."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return int(file.read().rpartition(")")[2].split()[19])


def descendants() -> list[int]:
    """The pids below this process, the ended ones that nobody reaped among them."""
    found: list[int] = []
    look = [os.getpid()]
    while look:
        below = _children(look.pop())
        found += below
        look += below
    return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                found += [int(child) for child in file.read().split()]
    except OSError:
        return found
    return found


def private_mib(pids: list[int]) -> float:
    """Memory that the processes hold for themselves: without files they map and memory they share."""
    pages = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/statm", encoding="ascii") as file:
                _, resident, shared = file.read().split()[:3]
                pages += int(resident) - int(shared)
        except OSError:
            continue
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def signal_all(number: int) -> None:
    for pid in descendants():
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def kill_all() -> None:
    """Kills everything below this process, also what is born meanwhile; gives up after a few seconds."""
    ends = time.monotonic() + _GONE_WITHIN
    while descendants() and time.monotonic() < ends:
        signal_all(signal.SIGKILL)
        reap(0)
        time.sleep(0.002)


_statuses: dict[int, int] = {}


def reap(child: int) -> int | None:
    """Collects every ended process below; the wait status of `child` once it has ended."""
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            break
        if pid == 0:
            break
        if child in (pid, 0):
            _statuses[pid] = status
    return _statuses.get(child)
