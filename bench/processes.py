"""Whole families of processes: what they use, whom they talk to, pausing and ending them."""

import contextlib
import ipaddress
import signal
import time
from collections.abc import Callable, Iterable

import psutil


def family(pid: int) -> list[psutil.Process]:
    """The process and all its descendants; empty when it is gone."""
    try:
        head = psutil.Process(pid)
        return [head, *head.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def each(processes: Iterable[psutil.Process], act: Callable[[psutil.Process], object]) -> None:
    """Does something to every process that is still there."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            act(process)


def pause(processes: Iterable[psutil.Process]) -> None:
    each(processes, lambda process: process.send_signal(signal.SIGSTOP))


def resume(processes: Iterable[psutil.Process]) -> None:
    each(processes, lambda process: process.send_signal(signal.SIGCONT))


def end(pid: int, grace: float = 10.0) -> None:
    """Ends a family: politely its head, then by force whoever is left."""
    everyone = family(pid)
    resume(everyone)
    each(everyone[:1], lambda process: process.terminate())
    ends = time.monotonic() + grace
    while family(pid)[1:] and time.monotonic() < ends:
        everyone = list({*everyone, *family(pid)})
        psutil.wait_procs(everyone, timeout=0.2)
    each(everyone, lambda process: process.kill())
    psutil.wait_procs(everyone, timeout=5)


def pss_mib(processes: Iterable[psutil.Process]) -> float:
    """Proportional set size: shared pages count once over all who share them."""
    total = 0

    def add(process: psutil.Process) -> None:
        nonlocal total
        total += process.memory_full_info().pss

    each(processes, add)
    return total / 2**20


def rss_mib(processes: Iterable[psutil.Process]) -> float:
    total = 0

    def add(process: psutil.Process) -> None:
        nonlocal total
        total += process.memory_info().rss

    each(processes, add)
    return total / 2**20


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """Processor time used so far by those that live."""
    total = 0.0

    def add(process: psutil.Process) -> None:
        nonlocal total
        times = process.cpu_times()
        total += times.user + times.system

    each(processes, add)
    return total


def core_seconds(core: int) -> float:
    """Time that a core has spent on programs, or was withheld from this machine; interrupts left out."""
    times = psutil.cpu_times(percpu=True)[core]
    return float(times.user + times.nice + times.system + times.steal)


def foreign(processes: Iterable[psutil.Process]) -> set[str]:
    """Addresses beyond this machine that a connection goes to just now."""
    found: set[str] = set()
    own = {each.address for addresses in psutil.net_if_addrs().values() for each in addresses}

    def look(process: psutil.Process) -> None:
        for connection in process.net_connections("inet"):
            if not connection.raddr:
                continue
            address = connection.raddr[0].removeprefix("::ffff:")
            if not ipaddress.ip_address(address).is_loopback and address not in own:
                found.add(address)

    each(processes, look)
    return found
