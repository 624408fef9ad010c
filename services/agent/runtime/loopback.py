"""Listening on the loopback that only one container sees, for programs that post to localhost."""

import ctypes
import os
import socket
from contextlib import suppress
from pathlib import Path

_NEW_NET = 0x40000000
_BACKLOG = 16
_libc = ctypes.CDLL(None, use_errno=True)


def listen_inside(net: Path, port: int) -> list[socket.socket]:
    """Sockets in the network of `net` (/proc/PID/net), for IPv4 and, where it has that, IPv6.

    Changes the network of the thread that calls it: call it in one that ends with it. None where the network
    is the node's own, where the agent may not get there, or where the port is taken.
    """
    try:
        with (net.parent / "ns" / "net").open("rb") as theirs:
            if os.path.samestat(os.fstat(theirs.fileno()), Path("/proc/thread-self/ns/net").stat()):
                return []
            if _libc.setns(theirs.fileno(), _NEW_NET) != 0:
                return []
    except OSError:
        return []
    return listen_on_loopback(port)


def listen_on_loopback(port: int) -> list[socket.socket]:
    """Sockets on the loopback of the network that this thread is in; none where the port is taken."""
    sockets: list[socket.socket] = []
    try:
        sockets.append(_listening(socket.AF_INET, "127.0.0.1", port))
        with suppress(OSError):
            sockets.append(_listening(socket.AF_INET6, "::1", port))
    except OSError:
        return []
    return sockets


def _listening(family: socket.AddressFamily, host: str, port: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((host, port))
        made.listen(_BACKLOG)
    except OSError:
        made.close()
        raise
    return made
