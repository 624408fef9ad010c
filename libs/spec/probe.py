"""Probes of a container: how it is asked whether it has started, lives and may take traffic."""

from typing import Annotated

from libs.spec.scalars import (
    Port,
    PositiveCount,
    PositiveSeconds,
    Seconds,
    Text,
    UrlPath,
    choice,
)
from libs.spec.section import Section


class HttpGet(Section):
    """Passes on an HTTP status from 200 to 399. Without `port`, the port of the container."""

    path: UrlPath = "/"
    port: Port | None = None
    scheme: Annotated[str, choice("HTTP", "HTTPS")] = "HTTP"


class TcpSocket(Section):
    """Passes when a connection opens. Without `port`, the port of the container."""

    port: Port | None = None


class Exec(Section):
    """Passes when the command ends with 0."""

    command: tuple[Text, ...]


class Probe(Section):
    """One check. Exactly one handler is set; times in seconds."""

    http_get: HttpGet | None = None
    tcp_socket: TcpSocket | None = None
    exec: Exec | None = None
    initial_delay_seconds: Seconds = 15
    period_seconds: PositiveSeconds = 10
    timeout_seconds: PositiveSeconds = 1
    success_threshold: PositiveCount = 1
    failure_threshold: PositiveCount = 3


class StartupProbe(Probe):
    """Holds the other probes back until it has passed once."""

    failure_threshold: PositiveCount = 30
