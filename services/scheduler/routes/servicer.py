"""The routes feed on the wire."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import grpc

from easel.common.v1 import common_pb2
from easel.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from libs.db.changes import Changes
from libs.domain.errors import DeadlineExceeded, InvalidRequest
from libs.domain.records import Event
from libs.domain.states import EventKind
from libs.lifecycle import ending, wakes
from services.scheduler.ledger import Ledger
from services.scheduler.routes.gateways import Gateway, Gateways
from services.scheduler.routes.questions import Questions
from services.scheduler.routes.table import RoutesTable
from services.scheduler.traffic.watch import EVERY, Traffic

log = logging.getLogger(__name__)

HELLO_WITHIN = 10.0

Requests: TypeAlias = AsyncIterator[gateway_pb2.ConnectRequest]
Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
Comparisons: TypeAlias = Callable[[str, list[common_pb2.Comparison]], None]
Waits: TypeAlias = Callable[[str, list[gateway_pb2.ServiceWaiting]], None]


@dataclass(frozen=True)
class Listeners:
    """Who takes in what gateways say beside what they have applied."""

    traffic: Traffic
    questions: Questions
    token_used: Callable[[str, datetime], None] = lambda token_id, at: None
    # By the connection's key; an empty list when it is over.
    compared: Comparisons = lambda key, comparisons: None
    waits: Waits = lambda key, levels: None


class RoutesServicer(gateway_pb2_grpc.RoutesServiceServicer):
    """Sends each gateway all that is its own, then what changed; takes in what its Envoys made of it."""

    def __init__(
        self,
        table: RoutesTable,
        gateways: Gateways,
        ledger: Ledger,
        listeners: Listeners,
        clock: Callable[[], datetime],
        stop: asyncio.Event,
    ) -> None:
        self._table, self._gateways, self._ledger, self._clock = table, gateways, ledger, clock
        self._listeners, self._stop = listeners, stop
        listeners.traffic.on_watched(self._watched)

    async def Connect(
        self, requests: Requests, context: Context
    ) -> AsyncIterator[gateway_pb2.ConnectResponse]:
        gateway = self._connected(await _hello(requests))
        link = _Link(gateway)
        gateway.ask = link.ask
        leave = gateway.audience.subscribe(link.changed.set)
        reading = asyncio.create_task(self._read(link, requests))
        try:
            async for message in self._messages(link):
                yield message
        finally:
            leave()
            self._left(gateway)
            reading.cancel()
            await asyncio.wait([reading])
            log.info("gateway disconnected", extra={"gateway": gateway.name, "why": ending(reading)})

    def _connected(self, hello: gateway_pb2.GatewayHello) -> Gateway:
        gateway = self._gateways.connected(
            hello.gateway,
            hello.public_url,
            hello.envoys,
            node=hello.node,
            direct_address=hello.direct_address,
            domain=hello.domain,
            hosts=hello.hosts,
            port=hello.port,
        )
        log.info("gateway connected", extra={"gateway": gateway.name, "node": gateway.node})
        return gateway

    def _left(self, gateway: Gateway) -> None:
        gateway.ask = lambda message: None
        self._gateways.left(gateway)
        self._listeners.traffic.left(gateway)
        self._listeners.questions.left(gateway)
        self._listeners.compared(gateway.key, [])
        self._listeners.waits(gateway.key, [])

    async def _messages(self, link: "_Link") -> AsyncIterator[gateway_pb2.ConnectResponse]:
        update = self._table.full(link.gateway.audience)
        yield self._sent(link.gateway, update)
        sent = update.generation
        link.changed.set()
        async for _ in wakes(link.changed, self._stop):
            if link.ended:
                return
            update = self._table.since(link.gateway.audience, sent)
            if _says_something(update):
                sent = update.generation
                yield self._sent(link.gateway, update)
            if (watch := self._watch(link)) is not None:
                yield gateway_pb2.ConnectResponse(watch_traffic=watch)
            while link.questions:
                yield link.questions.popleft()

    def _sent(self, gateway: Gateway, update: gateway_pb2.RoutesUpdate) -> gateway_pb2.ConnectResponse:
        self._gateways.sent(gateway, update)
        return gateway_pb2.ConnectResponse(update=update)

    def _watch(self, link: "_Link") -> gateway_pb2.WatchTraffic | None:
        """What it is to be asked for from now on; None when that is what it was asked for before."""
        traffic, here = self._listeners.traffic, link.gateway.audience.services
        wanted = frozenset(service for service in traffic.watched if service in here)
        if wanted == link.watches:
            return None
        link.watches = wanted
        traffic.asked(link.gateway, link.gateway.name, wanted)
        every_ms = round(EVERY.total_seconds() * 1000)
        return gateway_pb2.WatchTraffic(services=sorted(wanted), every_ms=every_ms)

    def _watched(self, services: frozenset[str]) -> None:
        """Wakes those whose matter it is."""
        for service in services:
            for audience in self._table.audiences_of(service):
                audience.tell()

    async def _read(self, link: "_Link", requests: Requests) -> None:
        try:
            async for message in requests:
                await self._take(link.gateway, message)
        finally:
            link.ended = True
            link.changed.set()

    async def _take(self, gateway: Gateway, message: gateway_pb2.ConnectRequest) -> None:
        match message.WhichOneof("message"):
            case "applied":
                self._gateways.applied(gateway, message.applied.generation, message.applied.envoys)
            case "refused":
                refusal = self._refusal(gateway, message.refused)
                await self._ledger.change(lambda _world, told=refusal: told)  # type: ignore[misc]
            case "explained":
                self._listeners.questions.answered(gateway, message.explained)
            case "traffic":
                self._listeners.traffic.reported(gateway, message.traffic)
            case "comparisons":
                self._listeners.compared(gateway.key, list(message.comparisons.comparisons))
            case "waiting":
                self._listeners.waits(gateway.key, list(message.waiting.services))
            case "token_uses":
                for use in message.token_uses.uses:
                    self._listeners.token_used(use.token_id, use.at.ToDatetime(UTC))
            case "status":
                gateway.why, gateway.certificates = message.status.why, tuple(message.status.certificates)

    def _refusal(self, gateway: Gateway, refused: gateway_pb2.Refused) -> Changes:
        what = ", ".join(refused.resources) or refused.type_url.rsplit(".", 1)[-1]
        why = f"Envoy refused {what}: {refused.message}; the last good routes stay"
        event = Event(self._clock(), EventKind.WARNING, "RoutesRefused", why, "gateway", gateway.name)
        return Changes(events=(event,))


class _Link:
    """What one connection is about to be told."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.changed = asyncio.Event()
        self.ended = False
        self.questions: deque[gateway_pb2.ConnectResponse] = deque()
        self.watches: frozenset[str] = frozenset()

    def ask(self, message: gateway_pb2.ConnectResponse) -> None:
        self.questions.append(message)
        self.changed.set()


async def _hello(requests: Requests) -> gateway_pb2.GatewayHello:
    """Raises DeadlineExceeded, InvalidRequest."""
    try:
        async with asyncio.timeout(HELLO_WITHIN):
            first = await anext(aiter(requests), None)
    except TimeoutError:
        raise DeadlineExceeded(f"no GatewayHello came within {HELLO_WITHIN:g} s") from None
    if first is None or not first.HasField("hello"):
        raise InvalidRequest("message", "nothing", "a GatewayHello as the first message")
    return first.hello


def _says_something(update: gateway_pb2.RoutesUpdate) -> bool:
    parts = (update.services, update.removed, update.groups, update.removed_groups)
    return update.full or update.HasField("settings") or any(parts)
