"""Whether an address can be listened on, told before anything is started."""

import errno
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from libs.domain.errors import EaselError

if TYPE_CHECKING:
    import psutil


def ensure_free(host: str, port: int, option: str, owner: Path) -> None:
    """Raises an `EaselError` that names the port, who has it where that can be seen, and the option.

    A process that works with a file of the directory `owner` may have it: an Envoy that carried on while
    Easel was down, and is taken over.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise EaselError(f"cannot listen on {host}:{port}: {error.strerror}") from error
            holder = _holder(port)
            if holder is None or not _works_in(holder, owner):
                raise EaselError(
                    f"port {port} is taken{_by(holder)}; choose another with {option}"
                ) from error


def _holder(port: int) -> "psutil.Process | None":
    import psutil

    try:
        found = (each for each in psutil.net_connections("inet") if each.laddr and each.laddr.port == port)
        pid = next((each.pid for each in found if each.pid and each.status == psutil.CONN_LISTEN), None)
        return psutil.Process(pid) if pid else None
    except (psutil.Error, OSError):
        return None


def _works_in(process: "psutil.Process", owner: Path) -> bool:
    import psutil

    try:
        return any(Path(word).is_relative_to(owner) for word in process.cmdline() if word.startswith("/"))
    except psutil.Error:
        return False


def _by(process: "psutil.Process | None") -> str:
    import psutil

    try:
        return f" by {process.name()} (process {process.pid})" if process else ""
    except psutil.Error:
        return ""
