"""Follows what the scheduler tells of services, nodes and gateways."""

import asyncio

import grpc

from easel.facts.v1 import facts_pb2 as pb
from easel.facts.v1 import facts_pb2_grpc as rpc
from libs.rpc.client import dial
from libs.rpc.following import Outage, follow
from services.metrics.store import Store


class Following:
    """Keeps the facts of the store; while the scheduler is away they stay what they were."""

    def __init__(self, store: Store, scheduler: str, token: str) -> None:
        self._facts, self._scheduler, self._token = store.facts, scheduler, token

    async def run(self, until: asyncio.Event) -> None:
        """Follows until stopped."""
        async with dial(self._scheduler, self._token) as channel:
            stub: rpc.FactsServiceAsyncStub = rpc.FactsServiceStub(channel)

            def opened() -> "grpc.aio.UnaryStreamCall[pb.WatchRequest, pb.WatchResponse]":
                return stub.Watch(pb.WatchRequest(component="metrics"))

            await follow(opened, self._take, self._lost, Outage("metrics", "scheduler"), until)

    def _take(self, told: pb.WatchResponse) -> None:
        self._facts.take(told)
        self._facts.connected = True

    def _lost(self) -> None:
        self._facts.connected = False
