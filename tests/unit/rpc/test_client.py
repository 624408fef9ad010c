"""A call that streams its requests leaves nothing behind, however it ends."""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from easel.agent.v1 import agent_pb2, agent_pb2_grpc
from easel.metrics.v1 import metrics_pb2, metrics_pb2_grpc
from libs.rpc.client import dial
from libs.rpc.server import Service, serving
from tests.support.waiting import until

OVER = (grpc.aio.AioRpcError, asyncio.InvalidStateError, asyncio.CancelledError)


class Curt(metrics_pb2_grpc.TelemetryServiceServicer, agent_pb2_grpc.AgentLinkServiceServicer):
    """Ends each stream after its first message; `patient`, it only listens."""

    def __init__(self, *, patient: bool) -> None:
        self._patient, self.heard = patient, asyncio.Event()

    async def Report(self, request_iterator: Any, context: Any) -> metrics_pb2.ReportResponse:
        await self._first_of(request_iterator)
        return metrics_pb2.ReportResponse()

    async def Connect(self, request_iterator: Any, context: Any) -> AsyncIterator[agent_pb2.ConnectResponse]:
        yield agent_pb2.ConnectResponse()
        await self._first_of(request_iterator)

    async def _first_of(self, requests: Any) -> None:
        await anext(aiter(requests))
        self.heard.set()
        if self._patient:
            await asyncio.Event().wait()


@asynccontextmanager
async def curt(address: str, *, patient: bool = False) -> AsyncIterator[Curt]:
    servicer = Curt(patient=patient)
    parts = [
        Service(
            "easel.metrics.v1.TelemetryService",
            partial(metrics_pb2_grpc.add_TelemetryServiceServicer_to_server, servicer),
        ),
        Service(
            "easel.agent.v1.AgentLinkService",
            partial(agent_pb2_grpc.add_AgentLinkServiceServicer_to_server, servicer),
        ),
    ]
    async with serving(parts, address, drain_for=timedelta(0)):
        yield servicer


async def given(address: str) -> None:
    """A stream whose iterator has said one thing and has nothing more to say."""

    async def reports() -> AsyncIterator[metrics_pb2.ReportRequest]:
        yield metrics_pb2.ReportRequest()
        await asyncio.Event().wait()

    async with dial(address, "token") as channel:
        await metrics_pb2_grpc.TelemetryServiceStub(channel).Report(reports())


async def written(address: str) -> None:
    """A stream that is written to and read until it ends."""
    async with dial(address, "token") as channel:
        call = agent_pb2_grpc.AgentLinkServiceStub(channel).Connect()
        try:
            await call.write(agent_pb2.ConnectRequest())
            while await call.read() is not grpc.aio.EOF:
                pass
        finally:
            call.cancel()


CALLS = pytest.mark.parametrize("call", [given, written])


async def nothing_is_left(caplog: pytest.LogCaptureFixture) -> None:
    mine = asyncio.current_task()
    # What was let go of too early says so when it is collected, some of it in a task of its own.
    for _ in range(2):
        await until(lambda: asyncio.all_tasks() == {mine}, "the end of every task")
        gc.collect()
    assert [each.getMessage() for each in caplog.records if each.levelno >= logging.ERROR] == []


@CALLS
async def test_one_whose_part_is_away(call: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with suppress(*OVER):
        await call(f"unix:{tmp_path / 'nobody.sock'}")

    await nothing_is_left(caplog)


@CALLS
async def test_one_whose_part_ends_it(call: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    address = f"unix:{tmp_path / 'part.sock'}"
    async with curt(address):
        with suppress(*OVER):
            await call(address)

    await nothing_is_left(caplog)


@CALLS
async def test_one_whose_part_goes_away(call: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    address = f"unix:{tmp_path / 'part.sock'}"
    async with curt(address, patient=True) as part:
        calling = asyncio.create_task(call(address))
        await asyncio.wait_for(part.heard.wait(), 10)
    with suppress(*OVER):
        await calling

    await nothing_is_left(caplog)


@CALLS
async def test_one_that_is_given_up(call: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    address = f"unix:{tmp_path / 'part.sock'}"
    async with curt(address, patient=True) as part:
        calling = asyncio.create_task(call(address))
        await asyncio.wait_for(part.heard.wait(), 10)
        calling.cancel()
        await asyncio.gather(calling, return_exceptions=True)

    await nothing_is_left(caplog)


async def test_requests_may_be_a_plain_list(tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 'part.sock'}"
    async with curt(address), dial(address, "token") as channel:
        reports = [metrics_pb2.ReportRequest()]

        answer = await metrics_pb2_grpc.TelemetryServiceStub(channel).Report(iter(reports), timeout=10)

    assert answer == metrics_pb2.ReportResponse()
