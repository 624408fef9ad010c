"""The output of a container as it comes, without holding up anybody."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from typing import Any

from libs.domain.errors import Unavailable
from services.agent.runtime.docker_engine import APIError, Engine, EngineNotFound
from services.agent.runtime.threads import in_own_thread

_AHEAD = 64


async def read_log(engine: Engine, container: str, tail: int, follow: bool) -> AsyncIterator[bytes]:
    """The last `tail` lines (0: all), then, following, what is added. Raises Unavailable, EngineNotFound.

    Who stops listening leaves neither a thread nor a connection behind.
    """
    stream = await engine.ask(lambda api: api.logs(container, stream=True, follow=follow, tail=tail or "all"))
    engine.hold(stream)
    parts: asyncio.Queue[bytes | None] = asyncio.Queue(_AHEAD)
    given_up, loop = threading.Event(), asyncio.get_running_loop()
    reading = asyncio.ensure_future(in_own_thread(partial(_read, engine, stream, parts, given_up, loop)))
    try:
        while (part := await parts.get()) is not None:
            yield part
    finally:
        given_up.set()
        reading.cancel()
        engine.end(stream)
        while not parts.empty():
            parts.get_nowait()


def _read(
    engine: Engine,
    stream: Any,
    parts: "asyncio.Queue[bytes | None]",
    given_up: threading.Event,
    loop: asyncio.AbstractEventLoop,
) -> None:
    def put(part: bytes | None) -> None:
        if not given_up.is_set():
            asyncio.run_coroutine_threadsafe(parts.put(part), loop).result()

    with suppress(RuntimeError):  # The loop was closed: nobody reads any more.
        try:
            for part in engine.items(stream):
                put(part)
        except (APIError, EngineNotFound, Unavailable) as broken:
            put(f"\n[the log ended: {broken}]\n".encode())
        put(None)
