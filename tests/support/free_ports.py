"""Ports nobody listens on just now, from a stretch that only this process of the test run takes from.

They lie below those the kernel gives to connections that go out: no other test's call can take one between
the moment it was found free and the moment it is bound.
"""

import os
import random
import socket

_FIRST, _STRETCH, _STRETCHES = 10_000, 5_500, 4
_PROBED = 2_500


def _stretch() -> range:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    first = _FIRST + int(worker) % _STRETCHES * _STRETCH
    return range(first, first + _STRETCH)


def free_port() -> int:
    """A free port of 127.0.0.1. Bind it soon: nothing keeps it free."""
    return free_range(1)


def free_range(count: int) -> int:
    """The first of so many ports of 127.0.0.1 that follow each other and are free."""
    ports = _stretch()[:_PROBED]
    while True:
        first = random.choice(ports[: len(ports) - count + 1])
        if all(_is_free(port) for port in range(first, first + count)):
            return first


def agent_ports() -> range:
    """What agents of this process hand out to instances where a test says nothing else."""
    return _stretch()[_PROBED:]


def some_agent_ports() -> range:
    """A hundred of them: those of an agent that has others beside it."""
    ports = agent_ports()
    return ports[random.randrange(0, len(ports), 100) :][:100]


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
