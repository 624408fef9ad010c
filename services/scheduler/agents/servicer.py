"""The agent link on the wire."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any, TypeAlias

import grpc

from easel.agent.v1 import agent_pb2, agent_pb2_grpc
from libs.db.changes import Changes
from libs.db.store import Store
from libs.domain.errors import EaselError, InvalidRequest
from services.scheduler.agents.joining import joined, with_inventory
from services.scheduler.agents.reports import absent_after_hello, changes_from_reports
from services.scheduler.agents.sessions import Session, Sessions
from services.scheduler.ledger import Ledger

log = logging.getLogger(__name__)

Requests: TypeAlias = AsyncIterator[agent_pb2.ConnectRequest]
Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class AgentLinkServicer(agent_pb2_grpc.AgentLinkServiceServicer):
    """Takes agents' reports in and sends them what their node must run."""

    def __init__(
        self, ledger: Ledger, store: Store, sessions: Sessions, clock: Callable[[], datetime]
    ) -> None:
        self._ledger, self._store, self._sessions, self._clock = ledger, store, sessions, clock

    async def Connect(self, requests: Requests, context: Context) -> AsyncIterator[agent_pb2.ConnectResponse]:
        first = await anext(aiter(requests), None)
        if first is None or not first.HasField("hello"):
            raise InvalidRequest("message", "nothing", "a Hello as the first message")
        session = await self._join(first.hello)
        reading = asyncio.create_task(self._read(session, requests))
        log.info("agent connected", extra={"node": session.node, "epoch": session.epoch})
        try:
            async for response in session.outgoing():
                yield response
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading
            self._sessions.closed(session)
            log.info("agent disconnected", extra={"node": session.node})

    async def _join(self, hello: agent_pb2.Hello) -> Session:
        epoch = max(await self._store.next("epoch"), hello.epoch + 1)
        await self._ledger.change(lambda world: joined(world, hello, epoch, self._clock()))
        session = self._sessions.open(hello.node, epoch)
        await self._ledger.change(
            lambda world: changes_from_reports(world, hello.node, hello.running, self._clock())
        )
        running = [report.id for report in hello.running]
        await self._ledger.change(lambda world: absent_after_hello(world, hello.node, running, self._clock()))
        return session

    async def _read(self, session: Session, requests: Requests) -> None:
        try:
            async for message in requests:
                self._sessions.seen(session.node)
                await self._take(session, message)
        finally:
            session.close()

    async def _take(self, session: Session, message: agent_pb2.ConnectRequest) -> None:
        try:
            match message.WhichOneof("message"):
                case "reports":
                    reports = message.reports.instances
                    await self._ledger.change(
                        lambda world: changes_from_reports(world, session.node, reports, self._clock())
                    )
                case "heartbeat":
                    await self._ledger.change(
                        lambda world: self._inventory(session.node, message.heartbeat.inventory)
                    )
                case "log_chunk":
                    session.heard_log(message.log_chunk)
        except EaselError as trouble:
            # The link is ended: the agent connects again and tells everything anew.
            log.warning("a report was not stored", extra={"node": session.node, "why": str(trouble)})
            raise

    def _inventory(self, name: str, inventory: agent_pb2.Inventory) -> Changes:
        node = self._ledger.world.nodes.get(name)
        if node is None or not inventory.HasField("capacity"):
            return Changes()
        told = with_inventory(node, inventory)
        return Changes(put=(told,)) if told != node else Changes()
