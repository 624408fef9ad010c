"""Asking a port whether it takes connections, or is free."""

import asyncio
import errno
import socket

_ANSWERS_WITHIN = 1.0
_DROPS_WITHIN = 0.05


async def accepts(host: str, port: int, unreachable: type[Exception] | None = None) -> bool:
    """Whether a TCP connection is taken. Raises TimeoutError when a second brings neither yes nor no.

    Where no route leads to the host, the answer is no, or `unreachable` is raised.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN):
                await asyncio.get_running_loop().sock_connect(probe, (host, port))
        except TimeoutError:
            raise
        except OSError as refused:
            if unreachable is not None and refused.errno != errno.ECONNREFUSED:
                raise unreachable(str(refused)) from refused
            return False
    return True


async def stays_open(host: str, port: int) -> bool:
    """Whether a connection is taken and kept. A forwarding port takes every one, and drops those that
    nobody takes behind it. Raises TimeoutError like `accepts`."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            async with asyncio.timeout(_ANSWERS_WITHIN):
                await loop.sock_connect(probe, (host, port))
            async with asyncio.timeout(_DROPS_WITHIN):
                return bool(await loop.sock_recv(probe, 1))
        except TimeoutError:
            try:
                probe.getpeername()
            except OSError:
                raise TimeoutError from None
            return True
        except OSError:
            return False


def is_free(port: int) -> bool:
    """Whether a program could listen on this port of every address right now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True
