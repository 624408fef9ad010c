"""Every service in one process: the wiring of `easel up`. Nothing else here knows the services."""

import asyncio
import gc
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from cli.buckets import keep
from cli.data_dir import Running, bound_log, locked, prepare
from cli.host_roots import keep_roots
from cli.parts import Part, Patience, Run, run_parts
from cli.ports import ensure_all_free
from libs.domain.errors import EaselError
from libs.domain.states import Runtime
from libs.lifecycle import stop_requested

PATIENCE = Patience()
_JOIN_WITHIN = timedelta(seconds=20)
_LOOK_EVERY = timedelta(milliseconds=20)
_LOG_LOOK = timedelta(seconds=10)


@dataclass(frozen=True)
class Wish:
    """What the user asked `easel up` for. `buckets` maps bucket names to host directories;
    below `host_roots` instances may ask for any directory."""

    data_dir: Path
    runtime: str = "process"
    host: str = "127.0.0.1"
    port: int = 8800
    admin_host: str = "127.0.0.1"
    admin_port: int = 8801
    # Where Prometheus finds /metrics, at the address of the admin API; 0 is the third port after its port.
    metrics_port: int = 0
    buckets: Mapping[str, Path] = field(default_factory=dict)
    host_roots: Sequence[Path] = ()
    context: str = "local"
    otlp_endpoint: str = ""
    log_level: str = "INFO"

    @property
    def gateway(self) -> str:
        return f"http://{_reachable(self.host)}:{self.port}"

    @property
    def metrics_listen(self) -> str:
        return f"{self.admin_host}:{self.metrics_port or self.admin_port + 3}"

    @property
    def metrics(self) -> str:
        host, _, port = self.metrics_listen.rpartition(":")
        return f"http://{_reachable(host)}:{port}/metrics"

    @property
    def reports_listen(self) -> str:
        """Where agents and gateways of other hosts tell metrics their numbers; empty where none can join."""
        return "" if is_loopback(self.admin_host) else f"{self.admin_host}:{self.admin_port + 2}"

    @property
    def scheduler(self) -> str:
        return f"{_reachable(self.admin_host)}:{self.admin_port}"


def serve(wish: Wish, announce: Callable[[Running, float], None]) -> None:
    """Runs everything until SIGTERM or SIGINT; calls `announce` with the seconds it took to be ready.

    Raises `AlreadyRunning` when the data directory is in use, and `EaselError` when a part cannot start or
    ends by itself; the other parts are stopped first.
    """
    began = time.monotonic()
    prepare(wish.data_dir)
    with locked(wish.data_dir) as lock:
        ensure_all_free(wish)
        me = Running(os.getpid(), wish.scheduler, wish.gateway, wish.runtime)
        lock.tell(me)
        keep(wish.data_dir, wish.buckets)
        keep_roots(wish.data_dir, wish.host_roots)

        # Collecting while a thousand modules load finds nothing and takes a tenth of the start.
        gc.disable()

        def ready() -> None:
            gc.freeze()
            gc.enable()
            now = Running(me.pid, me.scheduler, me.gateway, me.runtime, ready_at=time.time())
            _write_context(wish)
            lock.tell(now)
            announce(now, time.monotonic() - began)

        from libs.telemetry.logs import configure

        configure(wish.log_level)
        asyncio.run(_run(wish, ready))


async def _run(wish: Wish, ready: Callable[[], None]) -> None:
    # They find each other by dialling, all of them the scheduler. The gateway is the next: its Envoy starts
    # while the others load.
    scheduler = Part("scheduler", partial(loaded, _scheduler, wish))
    gateway, agent, metrics, autoscaler = (
        Part(name, partial(loaded, load, wish), after=scheduler)
        for name, load in (
            ("gateway", _gateway),
            ("agent", _agent),
            ("metrics", _metrics),
            ("autoscaler", _autoscaler),
        )
    )

    joined = asyncio.create_task(_node_joined(wish, after=(scheduler.ready, agent.ready)))

    async def all_ready() -> None:
        await joined
        ready()

    log_keeper = asyncio.create_task(_keep_log_bounded(wish.data_dir))
    try:
        await run_parts(
            starting=(scheduler, gateway, agent, metrics, autoscaler),
            # Metrics hears of the last requests from the gateway; who decides ends before who carries out.
            stopping=(autoscaler, agent, gateway, metrics, scheduler),
            stop=stop_requested(),
            ready=all_ready,
            patience=PATIENCE,
        )
    finally:
        log_keeper.cancel()
        joined.cancel()
        # Whatever it says by now, what made a part fail is said already.
        await asyncio.gather(joined, return_exceptions=True)


async def _keep_log_bounded(data_dir: Path) -> None:
    while True:
        await asyncio.sleep(_LOG_LOOK.total_seconds())
        bound_log(data_dir)


async def _node_joined(wish: Wish, after: Sequence[asyncio.Event]) -> None:
    """Returns when there is a node to place instances on. Raises `EaselError` when none comes in time."""
    for each in after:
        await each.wait()
    from easel_sdk.aio import AsyncEasel

    async with AsyncEasel(wish.scheduler, _admin_token(wish)) as easel:
        for _ in range(int(_JOIN_WITHIN / _LOOK_EVERY)):
            async for _node in easel.nodes.list():
                return
            await asyncio.sleep(_LOOK_EVERY.total_seconds())
    raise EaselError("the agent did not join the scheduler; see the log")


def _admin_token(wish: Wish) -> str:
    return (wish.data_dir / "admin.token").read_text(encoding="ascii").strip()


def loaded(load: Callable[[Wish], Run], wish: Wish) -> Run:
    """Imports the service. Raises `EaselError` when its settings, some from the environment, are refused."""
    from pydantic import ValidationError

    try:
        return load(wish)
    except ValidationError as refused:
        from libs.settings import refusal

        raise EaselError(refusal(refused)) from refused


def _scheduler(wish: Wish) -> Run:
    from services.scheduler.__main__ import run
    from services.scheduler.settings import Settings

    settings = Settings(
        database_url=f"sqlite:///{wish.data_dir / 'easel.db'}",
        listen=f"{wish.admin_host}:{wish.admin_port}",
        admin_token_file=wish.data_dir / "admin.token",
        join_token_file=wish.data_dir / "join.token",
        secrets_key_file=wish.data_dir / "secrets.key",
        public_url=wish.gateway,
        metrics=_socket(wish, "metrics"),
        autoscaler=_socket(wish, "autoscaler"),
    )
    return lambda stop, ready: run(settings, stop, ready)


def _gateway(wish: Wish) -> Run:
    from services.gateway.runtime import run
    from services.gateway.settings import Settings

    settings = Settings(
        scheduler=wish.scheduler,
        join_token_file=wish.data_dir / "join.token",
        listen=f"{wish.host}:{wish.port}",
        public_url=wish.gateway,
        data_dir=wish.data_dir / "gateway",
        metrics=_socket(wish, "metrics"),
        otlp_endpoint=wish.otlp_endpoint,
    )
    return lambda stop, ready: run(settings, stop, ready)


def _agent(wish: Wish) -> Run:
    from services.agent.__main__ import run
    from services.agent.settings import Settings

    # Without a directory of its own, EASEL_AGENT_HOST_ROOTS says which.
    roots: dict[str, Any] = {"host_roots": tuple(wish.host_roots)} if wish.host_roots else {}
    settings = Settings(
        **roots,
        scheduler=wish.scheduler,
        join_token_file=wish.data_dir / "join.token",
        runtime=Runtime(wish.runtime),
        data_dir=wish.data_dir / "agent",
        buckets=dict(wish.buckets),
        stop_instances_on_exit=True,
        metrics=_socket(wish, "metrics"),
        otlp_endpoint=wish.otlp_endpoint,
    )
    return lambda stop, ready: run(settings, stop, ready)


def _metrics(wish: Wish) -> Run:
    from services.metrics.__main__ import run
    from services.metrics.settings import Settings

    settings = Settings(
        listen=",".join(filter(None, (_socket(wish, "metrics"), wish.reports_listen))),
        http_listen=wish.metrics_listen,
        scheduler=wish.scheduler,
        join_token_file=wish.data_dir / "join.token",
        data_dir=wish.data_dir / "metrics",
    )
    return lambda stop, ready: run(settings, stop, ready)


def _autoscaler(wish: Wish) -> Run:
    from services.autoscaler.__main__ import run
    from services.autoscaler.settings import Settings

    settings = Settings(
        listen=_socket(wish, "autoscaler"),
        scheduler=wish.scheduler,
        metrics=_socket(wish, "metrics"),
        admin_token_file=wish.data_dir / "admin.token",
        join_token_file=wish.data_dir / "join.token",
    )
    return lambda stop, ready: run(settings, stop, ready)


def _socket(wish: Wish, part: str) -> str:
    """Where a part is found by the others, and by nobody else."""
    from libs.rpc.sockets import socket_address

    return socket_address(wish.data_dir, f"{part}.sock")


def _write_context(wish: Wish) -> None:
    from easel_sdk.context import Context, read_contexts, write_contexts
    from easel_sdk.settings import client_settings

    path = client_settings().context_file
    context = Context(
        scheduler=wish.scheduler,
        gateway=wish.gateway,
        token=_admin_token(wish),
        data_dir=str(wish.data_dir),
    )
    write_contexts(path, read_contexts(path).saved(wish.context, context, use=True))


def is_loopback(host: str) -> bool:
    """Whether only this host reaches what listens there."""
    return host in ("localhost", "::1") or host.startswith("127.")


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::", "") else host
