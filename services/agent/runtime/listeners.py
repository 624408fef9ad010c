"""Who listens on which TCP port, and who is connected to it, by the /proc/net of a host or a container."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from libs.domain.causes import Cause
from services.agent.runtime.port import Finding

_ESTABLISHED, _LISTENING = "01", "0A"
_TABLES = ("tcp", "tcp6")
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
    ending = f":{port:04X}"
    return sum(fields[1].endswith(ending) for fields in _rows(_ESTABLISHED, net))


def listeners_of_tree(root: int) -> list[Listener]:
    """What the process `root` and those below it listen on. Blocks shortly."""
    held: set[str] = set()
    for pid in tree_of(root):
        # One that became another user's hides its own sockets, not those of its children.
        with suppress(OSError):
            held |= {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
    return [listener for listener in listeners() if f"socket:[{listener.inode}]" in held]


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
