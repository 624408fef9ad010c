"""How much of this machine an Envoy may take when nobody says: a share of what there is."""

import contextlib
import os
import resource
from pathlib import Path

_GROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
# So that a machine that comes up with a little more or less gives its Envoy the same.
_GRAIN_MIB = 256
_LEAST_MIB = 512
_MOST_CONNECTIONS = 100_000


def heap_mib() -> int:
    """Half of the memory of the machine, or of the control group if that is less."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):
        memory = min(memory, int(_GROUP_LIMIT.read_text()))
    half = memory // 2 // 1024 // 1024
    return max(_LEAST_MIB, half // _GRAIN_MIB * _GRAIN_MIB)


def connections() -> int:
    """Half of the files that a process may open, as each request takes a connection on either side."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return _MOST_CONNECTIONS if files == resource.RLIM_INFINITY else min(_MOST_CONNECTIONS, files // 2)
