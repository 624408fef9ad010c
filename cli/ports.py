"""Whether an address can be listened on, told before anything is started."""

import errno
import socket

from libs.domain.errors import EaselError


def ensure_free(host: str, port: int, option: str) -> None:
    """Raises an `EaselError` that names the port, who has it where that can be seen, and the option."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise EaselError(f"port {port} is taken{_by(port)}; choose another with {option}") from error
            raise EaselError(f"cannot listen on {host}:{port}: {error.strerror}") from error


def _by(port: int) -> str:
    import psutil

    try:
        holders = [
            each.pid for each in psutil.net_connections("inet") if each.laddr and each.laddr[1] == port
        ]
        pid = next((each for each in holders if each), None)
        return f" by {psutil.Process(pid).name()} (process {pid})" if pid else ""
    except (psutil.Error, OSError):
        return ""
