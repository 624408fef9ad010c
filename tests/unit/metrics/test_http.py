"""What is answered over HTTP, to whoever asks: also to those that do not read what they asked for."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from aiohttp import web

from easel.facts.v1 import facts_pb2 as pb
from services.metrics.envoy_stream import EnvoyStreams
from services.metrics.http import MOST_AT_ONCE, READ_WITHIN_S, Exposed
from services.metrics.store import Store
from tests.support.waiting import until

# More than a socket holds for somebody who does not read.
MANY = 2_000


@asynccontextmanager
async def exposed(directory: Path, read_within_s: float) -> AsyncIterator[str]:
    store, path = Store(), str(directory / "http.sock")
    services = [pb.ServiceFacts(name=f"echo-{number}", version=1) for number in range(MANY)]
    store.facts.take(pb.WatchResponse(full=True, services=services))
    runner = web.AppRunner(Exposed(store, EnvoyStreams(store), read_within_s).application(), access_log=None)
    await runner.setup()
    await web.UnixSite(runner, path).start()
    try:
        yield path
    finally:
        await runner.cleanup()


def reader(path: str) -> httpx.AsyncClient:
    over = httpx.AsyncHTTPTransport(uds=path)
    return httpx.AsyncClient(transport=over, base_url="http://metrics", timeout=20)


async def test_those_that_do_not_read_are_few_and_are_cut_off(tmp_path: Path) -> None:
    async with exposed(tmp_path, read_within_s=3.0) as path, reader(path) as prometheus:
        silent = [await asyncio.open_unix_connection(path, limit=1024) for _ in range(MOST_AT_ONCE)]
        for _, writer in silent:
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: metrics\r\n\r\n")
        # They take in some kilobytes of the answer, and then no more.
        await asyncio.gather(*(begun.readline() for begun, _ in silent))

        beyond, healthy = await prometheus.get("/metrics"), await prometheus.get("/-/healthy")

        assert (beyond.status_code, beyond.headers["retry-after"]) == (503, "5")
        assert healthy.status_code == 200

        async def is_answered() -> bool:
            return (await prometheus.get("/metrics")).text.endswith("# EOF\n")

        await until(is_answered, "those that do not read to be cut off")
        for _, writer in silent:
            writer.close()


async def test_a_head_is_the_head_of_the_answer(tmp_path: Path) -> None:
    async with exposed(tmp_path, READ_WITHIN_S) as path, reader(path) as prometheus:
        whole, head = await prometheus.get("/metrics"), await prometheus.head("/metrics")

    assert head.content == b""
    assert head.headers["content-length"] == whole.headers["content-length"] == str(len(whole.content))


async def test_behind_a_head_comes_the_next_answer_of_its_connection(tmp_path: Path) -> None:
    async with exposed(tmp_path, READ_WITHIN_S) as path:
        answers, asking = await asyncio.open_unix_connection(path)
        asking.write(b"HEAD /metrics HTTP/1.1\r\nHost: metrics\r\n\r\n")
        await answers.readuntil(b"\r\n\r\n")
        asking.write(b"GET /-/healthy HTTP/1.1\r\nHost: metrics\r\n\r\n")

        assert await answers.readline() == b"HTTP/1.1 200 OK\r\n"
        assert b"text/plain" in await answers.readuntil(b"\r\n\r\n")
        asking.close()


async def test_one_that_goes_before_it_has_read_is_no_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with exposed(tmp_path, READ_WITHIN_S) as path:
        answers, asking = await asyncio.open_unix_connection(path, limit=1024)
        asking.write(b"GET /metrics HTTP/1.1\r\nHost: metrics\r\n\r\n")
        await answers.readline()
        asking.transport.abort()

    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING] == []
