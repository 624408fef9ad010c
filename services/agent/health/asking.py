"""Asking an instance one check, in the way its owner chose."""

import asyncio
import shlex
from datetime import timedelta

from libs.domain.errors import EaselError
from libs.spec.probe import Exec, HttpGet, Probe
from services.agent.health.answers import Answer
from services.agent.health.http import NoAnswer, get
from services.agent.runtime.port import Running, Runtime
from services.agent.runtime.sockets import accepts
from services.agent.workload import Workload

_WORDS_SHOWN = 200
_LONGEST_COMMAND = 60


async def ask(probe: Probe, running: Running, workload: Workload, runtime: Runtime) -> Answer | None:
    """The answer within the probe's time; None when there is no telling, such as while the engine is away."""
    within = timedelta(seconds=probe.timeout_seconds)
    try:
        if probe.exec is not None:
            return await _execute(probe.exec, running, runtime, within)
        if probe.http_get is not None:
            return await _get(probe.http_get, running, workload, runtime, within)
        port = probe.tcp_socket.port if probe.tcp_socket is not None else None
        return await _connect(port, running, workload, runtime, within)
    except EaselError:
        return None


async def _get(
    http: HttpGet, running: Running, workload: Workload, runtime: Runtime, within: timedelta
) -> Answer:
    host, port = await _place(http.port, running, workload, runtime)
    asked = f"GET {http.path}"
    try:
        async with asyncio.timeout(within.total_seconds()):
            status, words = await get(host, port, http.path, tls=http.scheme == "HTTPS")
    except TimeoutError:
        return Answer(False, asked, f"gave no answer within {within.total_seconds():g} s")
    except NoAnswer as why:
        return Answer(False, asked, str(why))
    return Answer(200 <= status < 400, asked, f"answered {status}", words)


async def _connect(
    port: int | None, running: Running, workload: Workload, runtime: Runtime, within: timedelta
) -> Answer:
    own = port in (None, workload.port)
    host, port = await _place(port, running, workload, runtime)
    asked = f"port {port}"
    try:
        async with asyncio.timeout(within.total_seconds()):
            taken = await (runtime.listening(running) if own else accepts(host, port))
    except TimeoutError:
        return Answer(False, asked, f"gave no answer within {within.total_seconds():g} s")
    except OSError as refused:
        return Answer(False, asked, f"cannot be asked: {refused.strerror or refused}")
    return Answer(taken, asked, "takes connections" if taken else "takes no connections")


async def _execute(command: Exec, running: Running, runtime: Runtime, within: timedelta) -> Answer:
    asked = shlex.join(command.command)
    asked = f"`{asked if len(asked) <= _LONGEST_COMMAND else asked[: _LONGEST_COMMAND - 3] + '...'}`"
    ended = await runtime.execute(running, command.command, within)
    if ended.code is None:
        return Answer(False, asked, f"did not end within {within.total_seconds():g} s")
    words = " ".join(ended.output.split())[:_WORDS_SHOWN] if ended.code else ""
    return Answer(ended.code == 0, asked, f"ended with {ended.code}", words)


async def _place(port: int | None, running: Running, workload: Workload, runtime: Runtime) -> tuple[str, int]:
    """The declared port is asked where gateways find it."""
    if port is None or port == workload.port:
        return running.address, running.port
    return await runtime.reach(running, port)
