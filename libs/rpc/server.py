"""Serving Easel's contracts: one place for interceptors, health, reflection, and a clean end."""

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from libs.domain.errors import Unavailable

_OPTIONS = [
    # Two servers must never share a port without knowing.
    ("grpc.so_reuseport", 0),
    ("grpc.max_receive_message_length", 256 * 1024 * 1024),
    ("grpc.max_send_message_length", 256 * 1024 * 1024),
    ("grpc.keepalive_time_ms", 5_000),
    ("grpc.keepalive_timeout_ms", 3_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 2_000),
    ("grpc.http2.max_ping_strikes", 0),
]


@dataclass(frozen=True)
class Service:
    """One contract to serve: its full name, and the call that adds its servicer to a server."""

    name: str
    register: Callable[[Any], None]


@asynccontextmanager
async def serving(
    services: Sequence[Service],
    listen: str,
    *,
    drain_for: timedelta = timedelta(seconds=5),
    interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
    options: Sequence[tuple[str, int]] = (),
) -> AsyncIterator[int]:
    """Serves `services` with health and reflection; yields the bound port (0 for a unix socket).

    `listen` is "host:port" or "unix:/path". On leaving, no new call is taken and running ones get
    `drain_for` to end. Raises Unavailable when the address cannot be bound.
    """
    server = grpc.aio.server(options=[*_OPTIONS, *options], interceptors=list(interceptors))
    for service in services:
        service.register(server)
    checks = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(checks, server)
    names = [service.name for service in services]
    reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    if listen.startswith("unix:"):
        _forget_socket(Path(listen.removeprefix("unix:")))
    try:
        port = server.add_insecure_port(listen)
    except RuntimeError as refused:
        raise Unavailable(f"cannot listen on {listen}: the address is taken or not this host's") from refused
    await server.start()
    for name in ("", *names):
        await checks.set(name, health_pb2.HealthCheckResponse.SERVING)
    try:
        yield 0 if listen.startswith("unix:") else port
    finally:
        await checks.enter_graceful_shutdown()
        await server.stop(drain_for.total_seconds())


def _forget_socket(path: Path) -> None:
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
