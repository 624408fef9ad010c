"""The routes feed on the wire."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any, TypeAlias

import grpc

from easel.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from libs.db.changes import Changes
from libs.domain.errors import DeadlineExceeded, InvalidRequest
from libs.domain.records import Event
from libs.domain.states import EventKind
from libs.lifecycle import ending, wakes
from services.scheduler.ledger import Ledger
from services.scheduler.routes.gateways import Gateway, Gateways
from services.scheduler.routes.table import RoutesTable

log = logging.getLogger(__name__)

HELLO_WITHIN = 10.0

Requests: TypeAlias = AsyncIterator[gateway_pb2.ConnectRequest]
Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class RoutesServicer(gateway_pb2_grpc.RoutesServiceServicer):
    """Sends each gateway everything, then what changed; takes in what its Envoys made of it."""

    def __init__(
        self,
        table: RoutesTable,
        gateways: Gateways,
        ledger: Ledger,
        clock: Callable[[], datetime],
        stop: asyncio.Event,
    ) -> None:
        self._table, self._gateways, self._ledger, self._clock = table, gateways, ledger, clock
        self._stop = stop

    async def Connect(
        self, requests: Requests, context: Context
    ) -> AsyncIterator[gateway_pb2.ConnectResponse]:
        try:
            first = await asyncio.wait_for(anext(aiter(requests), None), HELLO_WITHIN)
        except TimeoutError:
            raise DeadlineExceeded(f"no GatewayHello came within {HELLO_WITHIN:g} s") from None
        if first is None or not first.HasField("hello"):
            raise InvalidRequest("message", "nothing", "a GatewayHello as the first message")
        hello = first.hello
        gateway = self._gateways.connected(hello.gateway, hello.public_url, hello.envoys)
        log.info("gateway connected", extra={"gateway": gateway.name})
        changed, ended = asyncio.Event(), asyncio.Event()
        leave = self._table.subscribe(changed.set)
        reading = asyncio.create_task(self._read(gateway, requests, changed, ended))
        try:
            async for update in self._updates(changed, ended):
                yield gateway_pb2.ConnectResponse(update=update)
        finally:
            leave()
            self._gateways.left(gateway)
            reading.cancel()
            await asyncio.wait([reading])
            log.info("gateway disconnected", extra={"gateway": gateway.name, "why": ending(reading)})

    async def _updates(
        self, changed: asyncio.Event, ended: asyncio.Event
    ) -> AsyncIterator[gateway_pb2.RoutesUpdate]:
        update = self._table.full()
        sent = update.generation
        yield update
        async for _ in wakes(changed, self._stop):
            if ended.is_set():
                return
            if self._table.generation > sent:
                update = self._table.since(sent)
                sent = update.generation
                yield update

    async def _read(
        self, gateway: Gateway, requests: Requests, changed: asyncio.Event, ended: asyncio.Event
    ) -> None:
        try:
            async for message in requests:
                match message.WhichOneof("message"):
                    case "applied":
                        self._gateways.applied(gateway, message.applied.generation, message.applied.envoys)
                    case "refused":
                        refusal = self._refusal(gateway, message.refused)
                        await self._ledger.change(lambda _world, told=refusal: told)  # type: ignore[misc]
        finally:
            ended.set()
            changed.set()

    def _refusal(self, gateway: Gateway, refused: gateway_pb2.Refused) -> Changes:
        what = ", ".join(refused.resources) or refused.type_url.rsplit(".", 1)[-1]
        why = f"Envoy refused {what}: {refused.message}; the last good routes stay"
        event = Event(self._clock(), EventKind.WARNING, "RoutesRefused", why, "gateway", gateway.name)
        return Changes(events=(event,))
