"""Whether a port is free for an Envoy, which by itself would share it with another Envoy without a word."""

import errno
import socket


def taken(host: str, port: int) -> str:
    """Why nothing can listen there; empty when it can. Blocks for no time. Port 0 is any that is free."""
    if not port:
        return ""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as refused:
            reason = "is taken by another program" if refused.errno == errno.EADDRINUSE else refused.strerror
            return f"port {port} of {host} {reason}"
    return ""
