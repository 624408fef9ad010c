"""Who listens on which TCP port, and who is connected to it, by the /proc/net of a host or a container."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from libs.domain.causes import Cause
from services.agent.runtime.port import Finding

_ESTABLISHED, _LISTENING = "01", "0A"
_TABLES = ("tcp", "tcp6")
_SOCKET = "socket:["
# A connection that the kernel has made, and that no program has accepted yet, is no program's.
_TAKEN_BY_NOBODY = "0"
_OWN = Path("/proc/net")
# As the kernel writes them: each group of four bytes in the order of the host.
_ANY_LOOPBACK_4 = "7F"
_LOOPBACK_6 = "0" * 24 + "01000000"
_MAPPED_4 = "0" * 16 + "FFFF0000"


@dataclass(frozen=True)
class Listener:
    """One listening socket. `loopback`: only programs of the same host reach it."""

    port: int
    loopback: bool
    inode: str


def _rows(state: str, net: Path) -> Iterator[list[str]]:
    for table in _TABLES:
        try:
            lines = (net / table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == state:
                yield fields


def listeners(net: Path = _OWN) -> list[Listener]:
    """Every listening socket. Blocks shortly."""
    found = []
    for fields in _rows(_LISTENING, net):
        address, _, port = fields[1].rpartition(":")
        found.append(Listener(int(port, 16), _is_loopback(address), fields[9]))
    return found


def listening_sockets() -> Iterator[tuple[int, str]]:
    """Port and inode of each listening socket of this host. Blocks shortly."""
    return ((listener.port, listener.inode) for listener in listeners())


def connections_to(port: int, net: Path = _OWN) -> int:
    """Connections whose own end is `port`: those that somebody made to it. Blocks shortly."""
    return len(_connected_to(port, net))


def connections_of_tree(root: int, port: int) -> int:
    """Connections to `port`, but for those that are known to be of programs outside the tree of `root`.

    Blocks shortly.
    """
    connected = _connected_to(port, _OWN)
    strange = set(connected) - {_TAKEN_BY_NOBODY}
    # What a process hands to one that it forks just now is found at the second look.
    for _ in range(2):
        if strange:
            held, all_seen = sockets_of_tree(root)
            strange = strange - held if all_seen else set()
    return sum(inode not in strange for inode in connected)


def _connected_to(port: int, net: Path) -> list[str]:
    """The inode of each connection whose own end is `port`."""
    ending = f":{port:04X}"
    return [fields[9] for fields in _rows(_ESTABLISHED, net) if fields[1].endswith(ending)]


def inodes_between(own: int, other: int) -> set[str]:
    """The sockets of this host that are connected from port `own` to port `other`. Blocks shortly."""
    ends = f":{own:04X}", f":{other:04X}"
    rows = _rows(_ESTABLISHED, _OWN)
    return {row[9] for row in rows if row[1].endswith(ends[0]) and row[2].endswith(ends[1])}


def listeners_of_tree(root: int) -> list[Listener]:
    """What the process `root` and those below it listen on. Blocks shortly."""
    held, _ = sockets_of_tree(root)
    return [listener for listener in listeners() if listener.inode in held]


def sockets_of_tree(root: int) -> tuple[set[str], bool]:
    """The inodes of its sockets, and whether all were seen: a program of another user hides its own."""
    held: set[str] = set()
    all_seen = True
    for pid in tree_of(root):
        try:
            for link in Path(f"/proc/{pid}/fd").iterdir():
                # One that was closed meanwhile hides no other.
                with suppress(FileNotFoundError):
                    held.add(str(link.readlink()))
        except PermissionError:
            all_seen = False
        except OSError:
            continue
    return {link[len(_SOCKET) : -1] for link in held if link.startswith(_SOCKET)}, all_seen


def ports_of_tree(root: int) -> set[int]:
    """The ports that the process `root` and those below it listen on. Blocks shortly."""
    return {listener.port for listener in listeners_of_tree(root)}


def tree_of(root: int) -> Iterator[int]:
    """The process `root` and those below it. Blocks shortly."""
    look = [root]
    while look:
        pid = look.pop()
        yield pid
        try:
            for thread in Path(f"/proc/{pid}/task").iterdir():
                look += [int(child) for child in (thread / "children").read_text().split()]
        except OSError:
            continue


def finding_of(found: Iterable[Listener], port: int, advice: str, *, from_outside: bool) -> Finding | None:
    """Why nobody reaches `port`, by what its program listens on; None when it should be reached.

    `from_outside`: those who call come from elsewhere, so that a listener on loopback is none.
    """
    here = list(found)
    on_port = [listener for listener in here if listener.port == port]
    if on_port and from_outside and all(listener.loopback for listener in on_port):
        why = f"its program listens on 127.0.0.1:{port} only, which nobody outside reaches: bind 0.0.0.0"
        return Finding(Cause.LOOPBACK_ONLY, why)
    if on_port:
        return None
    if not here:
        return Finding(
            Cause.NOT_LISTENING, f"its program runs, but listens on no port yet; port {port} is asked"
        )
    ports = ", ".join(str(number) for number in sorted({listener.port for listener in here}))
    return Finding(Cause.WRONG_PORT, f"its program listens on port {ports}, but {advice}")


def _is_loopback(address: str) -> bool:
    """The kernel writes addresses as hexadecimal numbers of the host's order, which is little-endian here."""
    if len(address) == 8:
        return address.endswith(_ANY_LOOPBACK_4)
    return address == _LOOPBACK_6 or (address.startswith(_MAPPED_4) and address.endswith(_ANY_LOOPBACK_4))
