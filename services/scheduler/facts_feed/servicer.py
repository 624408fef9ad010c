"""The facts on the wire."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import grpc

from easel.facts.v1 import facts_pb2, facts_pb2_grpc
from libs.lifecycle import wakes
from services.scheduler.facts_feed.feed import FactsFeed

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
log = logging.getLogger(__name__)


class FactsServicer(facts_pb2_grpc.FactsServiceServicer):
    """Tells each reader everything, then what changed, as it changes."""

    def __init__(self, feed: FactsFeed, stop: asyncio.Event) -> None:
        self._feed, self._stop = feed, stop

    async def Watch(
        self, request: facts_pb2.WatchRequest, context: Context
    ) -> AsyncIterator[facts_pb2.WatchResponse]:
        log.info("facts are followed", extra={"component": request.component})
        with self._feed.following(request.component) as follower:
            yield self._feed.full(follower)
            async for _ in wakes(follower.changed, self._stop):
                message = self._feed.since(follower)
                if message.ByteSize():
                    yield message
