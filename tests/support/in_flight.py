"""Requests to the toy model whose answer has begun and not ended."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from easel.agent.v1 import agent_pb2 as pb


@asynccontextmanager
async def in_flight(report: pb.InstanceReport) -> AsyncIterator[AsyncIterator[str]]:
    """A streamed answer that has begun; yields the lines that are still to come."""
    url = f"http://{report.address}:{report.port}/stream"
    async with (
        httpx.AsyncClient(trust_env=False, timeout=60) as client,
        client.stream("GET", url) as answer,
    ):
        lines = answer.aiter_lines()
        assert await anext(lines) == "first"
        yield lines
