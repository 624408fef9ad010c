"""Who listens on which TCP port of this host, from /proc."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_LISTENING = "0A"
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")


def listening_sockets() -> Iterator[tuple[int, str]]:
    """Port and inode of each listening socket. Blocks shortly."""
    for table in _TABLES:
        try:
            lines = Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTENING:
                yield int(fields[1].rpartition(":")[2], 16), fields[9]


def ports_of_tree(root: int) -> set[int]:
    """The ports that the process `root` and those below it listen on. Blocks shortly."""
    held: set[str] = set()
    look = [root]
    while look:
        process = Path(f"/proc/{look.pop()}")
        # One that became another user's hides its own sockets, not those of its children.
        with suppress(OSError):
            held |= {str(link.readlink()) for link in (process / "fd").iterdir()}
        try:
            for thread in (process / "task").iterdir():
                look += [int(child) for child in (thread / "children").read_text().split()]
        except OSError:
            continue
    return {port for port, inode in listening_sockets() if f"socket:[{inode}]" in held}
