"""Whether the addresses of `easel up` can be listened on, told before anything is started."""

import errno
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from libs.domain.errors import EaselError

if TYPE_CHECKING:
    import psutil

    from cli.up import Wish


def refuse_one_port(wish: "Wish") -> None:
    """Raises an `EaselError` when two are to listen at one and the same port."""
    everywhere = {"0.0.0.0", "::"} & {wish.host, wish.admin_host}
    one_host = bool(everywhere) or wish.host == wish.admin_host
    metrics_port = int(wish.metrics_listen.rpartition(":")[2])
    if metrics_port > 65535:
        raise EaselError(f"--metrics-port is {metrics_port}; expected a port up to 65535")
    for one, other, same, port in (
        ("--port", "--admin-port", one_host and wish.port == wish.admin_port, wish.port),
        ("--port", "--metrics-port", one_host and wish.port == metrics_port, wish.port),
        ("--admin-port", "--metrics-port", wish.admin_port == metrics_port, metrics_port),
    ):
        if same:
            raise EaselError(f"{one} and {other} are both {port}; give each a port of its own")
    if wish.reports_listen:
        _refuse_port_of_reports(
            wish, {"--port": wish.port if one_host else 0, "--metrics-port": metrics_port}
        )


def _refuse_port_of_reports(wish: "Wish", others: Mapping[str, int]) -> None:
    reports = wish.admin_port + 2
    if reports > 65535:
        raise EaselError(
            f"--admin-port is {wish.admin_port}; expected a port up to 65533 with this --admin-host"
        )
    for option, port in others.items():
        if port == reports:
            why = "at the admin port + 2 other hosts report their numbers"
            raise EaselError(f"{option} is {port}; give it another port: {why}")


def ensure_all_free(wish: "Wish") -> None:
    """Raises an `EaselError` that names a port that is taken."""
    owner = wish.data_dir / "gateway"
    ensure_free(wish.host, wish.port, "--port", owner)
    ensure_free(wish.admin_host, wish.admin_port, "--admin-port", owner)
    ensure_free(wish.admin_host, int(wish.metrics_listen.rpartition(":")[2]), "--metrics-port", owner)
    if wish.reports_listen:
        ensure_free(wish.admin_host, wish.admin_port + 2, "--admin-port, which is 2 below it", owner)


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
