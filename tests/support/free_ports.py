"""A port nobody listens on just now."""

import socket


def free_port() -> int:
    """A free port of 127.0.0.1. Bind it soon: nothing keeps it free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
