"""Every service in one process: the wiring of `easel up`. Nothing else here knows the services."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from cli.data_dir import Running, locked, prepare
from cli.ports import ensure_free
from libs.domain.errors import EaselError
from libs.lifecycle import stop_requested

# From the first import to every part being ready.
START_WITHIN = timedelta(seconds=60)
_STOP_WITHIN = timedelta(seconds=30)


@dataclass(frozen=True)
class Wish:
    """What the user asked `easel up` for. `buckets` maps bucket names to host directories."""

    data_dir: Path
    runtime: str = "process"
    host: str = "127.0.0.1"
    port: int = 8800
    admin_host: str = "127.0.0.1"
    admin_port: int = 8801
    buckets: Mapping[str, Path] = field(default_factory=dict)
    context: str = "local"
    otlp_endpoint: str = ""
    log_level: str = "INFO"

    @property
    def gateway(self) -> str:
        return f"http://{_reachable(self.host)}:{self.port}"

    @property
    def scheduler(self) -> str:
        return f"{_reachable(self.admin_host)}:{self.admin_port}"


@dataclass
class _Part:
    """One service on its way: its loop, and the events that start and end it."""

    name: str
    run: Callable[[asyncio.Event, asyncio.Event], Coroutine[Any, Any, None]]
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


def serve(wish: Wish, announce: Callable[[Running, float], None]) -> None:
    """Runs everything until SIGTERM or SIGINT; calls `announce` with the seconds it took to be ready.

    Raises `AlreadyRunning` when the data directory is in use, and `EaselError` when a part cannot start or
    ends by itself; the other parts are stopped first.
    """
    began = time.monotonic()
    prepare(wish.data_dir)
    with locked(wish.data_dir) as lock:
        ensure_free(wish.host, wish.port, "--port")
        ensure_free(wish.admin_host, wish.admin_port, "--admin-port")
        import os

        me = Running(os.getpid(), wish.scheduler, wish.gateway, wish.runtime)
        lock.tell(me)

        def ready() -> None:
            now = Running(me.pid, me.scheduler, me.gateway, me.runtime, ready_at=time.time())
            _write_context(wish)
            lock.tell(now)
            announce(now, time.monotonic() - began)

        from libs.telemetry.logs import configure

        configure(wish.log_level)
        asyncio.run(_run(wish, ready))


async def _run(wish: Wish, ready: Callable[[], None]) -> None:
    stop = stop_requested()
    parts = _parts(wish)
    for part in parts:
        part.task = asyncio.create_task(part.run(part.stop, part.ready), name=part.name)
    try:
        if await _all_ready(parts, stop):
            ready()
            await _ended(stop, parts)
    finally:
        await _stop(parts)
    for part in parts:
        _raise_failure(part, expected=stop.is_set())


async def _all_ready(parts: list[_Part], stop: asyncio.Event) -> bool:
    """True when every part is; False when asked to stop or when one ended before."""
    waiting = asyncio.create_task(_each_ready(parts))
    stopping = asyncio.create_task(_set(stop))
    tasks = {part.task for part in parts if part.task is not None}
    try:
        done, _ = await asyncio.wait(
            {waiting, stopping, *tasks},
            timeout=START_WITHIN.total_seconds(),
            return_when=asyncio.FIRST_COMPLETED,
        )
        if not done:
            late = ", ".join(part.name for part in parts if not part.ready.is_set())
            raise EaselError(f"not ready after {START_WITHIN.total_seconds():g} s: {late}")
        return waiting in done and not tasks & done
    finally:
        waiting.cancel()
        stopping.cancel()


async def _set(event: asyncio.Event) -> None:
    await event.wait()


async def _each_ready(parts: list[_Part]) -> None:
    for part in parts:
        await part.ready.wait()


async def _ended(stop: asyncio.Event, parts: list[_Part]) -> None:
    """Returns when asked to stop, or when a part ended."""
    asked = asyncio.create_task(_set(stop))
    tasks = {part.task for part in parts if part.task is not None}
    await asyncio.wait({asked, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()


async def _stop(parts: list[_Part]) -> None:
    """Ends the parts one after another, the last started first; what does not end in time is cancelled."""
    for part in reversed(parts):
        part.stop.set()
        if part.task is not None:
            await asyncio.wait({part.task}, timeout=_STOP_WITHIN.total_seconds())
            part.task.cancel()
            await asyncio.wait({part.task}, timeout=5)


def _raise_failure(part: _Part, expected: bool) -> None:
    if part.task is None or not part.task.done() or part.task.cancelled():
        return
    failure = part.task.exception()
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    if isinstance(failure, EaselError):
        raise EaselError(f"the {part.name} ended: {failure}") from failure
    if failure is not None:
        raise failure
    if not expected and not part.stop.is_set():
        raise EaselError(f"the {part.name} ended by itself")


def _parts(wish: Wish) -> list[_Part]:
    """The services in starting order. They find each other by dialling, so all may start at once."""
    return [
        _Part("scheduler", _scheduler(wish)),
        _Part("gateway", _gateway(wish)),
        _Part("agent", _agent(wish)),
    ]


def _scheduler(wish: Wish) -> Callable[[asyncio.Event, asyncio.Event], Coroutine[Any, Any, None]]:
    from services.scheduler.__main__ import run
    from services.scheduler.settings import Settings

    settings = Settings(
        database_url=f"sqlite:///{wish.data_dir / 'easel.db'}",
        listen=f"{wish.admin_host}:{wish.admin_port}",
        admin_token_file=wish.data_dir / "admin.token",
        join_token_file=wish.data_dir / "join.token",
        public_url=wish.gateway,
    )
    return lambda stop, ready: run(settings, stop, ready)


def _gateway(wish: Wish) -> Callable[[asyncio.Event, asyncio.Event], Coroutine[Any, Any, None]]:
    from services.gateway.__main__ import run
    from services.gateway.settings import Settings

    settings = Settings(
        scheduler=wish.scheduler,
        join_token_file=wish.data_dir / "join.token",
        listen=f"{wish.host}:{wish.port}",
        public_url=wish.gateway,
        data_dir=wish.data_dir / "gateway",
        otlp_endpoint=wish.otlp_endpoint,
    )
    return lambda stop, ready: run(settings, stop, ready)


def _agent(wish: Wish) -> Callable[[asyncio.Event, asyncio.Event], Coroutine[Any, Any, None]]:
    from services.agent.__main__ import run
    from services.agent.settings import Settings

    settings = Settings(
        scheduler=wish.scheduler,
        join_token_file=wish.data_dir / "join.token",
        runtime=wish.runtime,
        data_dir=wish.data_dir / "agent",
        buckets=dict(wish.buckets),
        otlp_endpoint=wish.otlp_endpoint,
    )
    return lambda stop, ready: run(settings, stop, ready)


def _write_context(wish: Wish) -> None:
    from easel_sdk.context import Context, read_contexts, write_contexts
    from easel_sdk.settings import client_settings

    path = client_settings().context_file
    context = Context(
        scheduler=wish.scheduler,
        gateway=wish.gateway,
        token=(wish.data_dir / "admin.token").read_text(encoding="ascii").strip(),
        data_dir=str(wish.data_dir),
    )
    write_contexts(path, read_contexts(path).saved(wish.context, context, use=True))


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::", "") else host
