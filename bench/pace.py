"""A steady number of requests a second, whether or not the earlier ones were answered."""

import asyncio
import gc
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

from bench.machine import LOAD_CORE, pinned

_ANSWER_WITHIN = 30.0

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


def paced(url: str, body: str, headers: Mapping[str, str], rate: int, seconds: float) -> list[float]:
    """The latency of each request in milliseconds; the slow ones do not delay the next.

    Raises RuntimeError on the first answer that is not a 200.
    """
    with pinned(LOAD_CORE):
        gc.collect()
        gc.disable()
        try:
            return asyncio.run(_Pace(url, body, headers).run(rate, seconds))
        finally:
            gc.enable()


class _Pace:
    """Keeps idle connections for reuse and opens one more whenever none is idle."""

    def __init__(self, url: str, body: str, headers: Mapping[str, str]) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        lines = [f"POST {parts.path or '/'} HTTP/1.1", f"Host: {self._host}:{self._port}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines += [f"Content-Length: {len(body)}", "", body]
        self._request = "\r\n".join(lines).encode()
        self._idle: list[Connection] = []
        self._took: list[float] = []

    async def run(self, rate: int, seconds: float) -> list[float]:
        await self._one()
        self._took.clear()
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in range(round(rate * seconds)):
                await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
                group.create_task(self._one())
        for _, writer in self._idle:
            writer.close()
        return self._took

    async def _one(self) -> None:
        begun = time.perf_counter()
        reader, writer = (
            self._idle.pop() if self._idle else await asyncio.open_connection(self._host, self._port)
        )
        writer.write(self._request)
        async with asyncio.timeout(_ANSWER_WITHIN):
            await _answer(reader)
        self._took.append((time.perf_counter() - begun) * 1000)
        self._idle.append((reader, writer))


async def _answer(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status = head.split(" ", 2)[1]
    if status != "200":
        raise RuntimeError(f"answered {status}")
    for line in head.split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            await reader.readexactly(int(value))
            return
    await reader.readuntil(b"0\r\n\r\n")
