"""Follows what the scheduler tells of services, nodes and gateways."""

import asyncio
import logging
from datetime import timedelta
from typing import Any

import grpc

from easel.facts.v1 import facts_pb2 as pb
from easel.facts.v1 import facts_pb2_grpc as rpc
from libs.lifecycle import pause
from libs.rpc.client import dial
from services.metrics.store import Store

log = logging.getLogger(__name__)

_AGAIN = timedelta(milliseconds=500)
# Parts that start together need a moment to find each other.
_TOLD_AFTER = 4


class Following:
    """Keeps the facts of the store; while the scheduler is away they stay what they were."""

    def __init__(self, store: Store, scheduler: str, token: str) -> None:
        self._facts, self._scheduler, self._token = store.facts, scheduler, token
        # How often in a row it was not there.
        self._failures = 0

    async def run(self, until: asyncio.Event) -> None:
        """Follows until stopped."""
        stopped = asyncio.create_task(until.wait())
        try:
            async with dial(self._scheduler, self._token) as channel:
                stub = rpc.FactsServiceStub(channel)
                while not until.is_set():
                    await self._follow_or_stop(stub, stopped)
                    await pause(until, _AGAIN)
        finally:
            stopped.cancel()

    async def _follow_or_stop(self, stub: rpc.FactsServiceStub, stopped: "asyncio.Task[bool]") -> None:
        following = asyncio.create_task(self._follow(stub))
        await asyncio.wait((following, stopped), return_when=asyncio.FIRST_COMPLETED)
        self._facts.connected = False
        if not following.done():
            following.cancel()
            return
        why = following.result()
        self._failures += 1
        if self._failures == _TOLD_AFTER and not stopped.done():
            log.warning("the scheduler tells no facts", extra={"why": why})

    async def _follow(self, stub: rpc.FactsServiceStub) -> str:
        """Returns why it came to its end."""
        try:
            feed: Any = stub.Watch(pb.WatchRequest(component="metrics"))
            async for told in feed:
                self._facts.take(told)
                self._facts.connected = True
                if self._failures >= _TOLD_AFTER:
                    log.info("the scheduler tells its facts again")
                self._failures = 0
        except grpc.aio.AioRpcError as refused:
            return refused.details() or refused.code().name
        return "it ended the stream"
