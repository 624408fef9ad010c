"""The agent link on the wire."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeAlias

import grpc

from easel.agent.v1 import agent_pb2, agent_pb2_grpc
from libs.db.changes import Changes
from libs.db.store import Store
from libs.domain.errors import DeadlineExceeded, InvalidRequest
from libs.lifecycle import ending
from services.scheduler.agents.joining import inventory_told, said_hello
from services.scheduler.agents.reports import changes_from_reports
from services.scheduler.agents.sessions import Session, Sessions
from services.scheduler.gpus.troubles import troubles_of
from services.scheduler.gpus.watch import GpuWatch
from services.scheduler.images.states import PullStates, pull_events
from services.scheduler.ledger import Decision, Ledger
from services.scheduler.live import Live
from services.scheduler.world import World

log = logging.getLogger(__name__)

HELLO_WITHIN = 10.0

Requests: TypeAlias = AsyncIterator[agent_pb2.ConnectRequest]
Reports: TypeAlias = Sequence[agent_pb2.InstanceReport]
Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class AgentLinkServicer(agent_pb2_grpc.AgentLinkServiceServicer):
    """Takes agents' reports in and sends them what their node must run."""

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        sessions: Sessions,
        live: Live,
        pulls: PullStates,
        clock: Callable[[], datetime],
    ) -> None:
        self._ledger, self._store, self._sessions, self._clock = ledger, store, sessions, clock
        self._pulls = pulls
        self._live, self._gpus = live, GpuWatch(since=clock())

    async def Connect(self, requests: Requests, context: Context) -> AsyncIterator[agent_pb2.ConnectResponse]:
        hello = await self._hello(requests)
        # Heard of, whether or not the database answers: an outage of ours is no silence of theirs.
        self._sessions.seen(hello.node)
        epoch = max(await self._store.next("epoch"), hello.epoch + 1)
        session = self._sessions.open(hello.node, epoch, hello.agent)
        reading = None
        session.hide_secrets(hello.running)
        try:
            await self._ledger.change(lambda world: said_hello(world, hello, epoch, self._clock()))
            await self._change(session, lambda world: self._moved(session, hello.running, world))
            self._sessions.heard_on(session)
            reading = asyncio.create_task(self._read(session, requests))
            log.info("agent connected", extra={"node": session.node, "epoch": session.epoch})
            async for response in session.outgoing():
                yield response
        finally:
            self._sessions.closed(session)
            self._live.ended(session.node, session.epoch)
            if reading is not None:
                reading.cancel()
                await asyncio.wait([reading])
                log.info("agent disconnected", extra={"node": session.node, "why": ending(reading)})

    async def _hello(self, requests: Requests) -> agent_pb2.Hello:
        try:
            async with asyncio.timeout(HELLO_WITHIN):
                first = await anext(aiter(requests), None)
        except TimeoutError:
            raise DeadlineExceeded(f"no Hello came within {HELLO_WITHIN:g} s") from None
        if first is None or not first.HasField("hello"):
            raise InvalidRequest("message", "nothing", "a Hello as the first message")
        return first.hello

    async def _read(self, session: Session, requests: Requests) -> None:
        try:
            async for message in requests:
                if session.closed:
                    return
                self._sessions.heard_on(session)
                await self._take(session, message)
        finally:
            session.close()

    async def _take(self, session: Session, message: agent_pb2.ConnectRequest) -> None:
        match message.WhichOneof("message"):
            case "reports":
                reports = message.reports.instances
                session.hide_secrets(reports)
                await self._change(session, lambda world: self._reported(session, reports, world))
            case "heartbeat":
                await self._beat(session, message.heartbeat)
            case "image_pulls":
                await self._pulled(session, message.image_pulls.pulls)
            case "log_chunk":
                session.heard_log(message.log_chunk)

    def _reported(self, session: Session, reports: Reports, world: World) -> Changes:
        moved = self._moved(session, reports, world)
        told = changes_from_reports(world, session.node, reports, self._clock())
        return replace(told, events=(*told.events, *moved.events))

    def _moved(self, session: Session, reports: Reports, world: World) -> Changes:
        """What is never stored, and the events that come of it."""
        return Changes(events=self._live.take(world, session.node, session.epoch, reports, self._clock()))

    async def _pulled(self, session: Session, reports: Sequence[agent_pb2.ImagePullReport]) -> None:
        await self._change(
            session, lambda world: pull_events(world, self._pulls, session.node, reports, self._clock())
        )
        # After the commit: what failed to be stored is told anew by the next link.
        if not session.closed:
            self._pulls.take(self._ledger.world, session.node, reports)

    async def _beat(self, session: Session, heartbeat: agent_pb2.Heartbeat) -> None:
        troubles = troubles_of(heartbeat.gpu_troubles)

        def decide(world: World) -> Changes:
            offer = inventory_told(world, session.node, heartbeat.inventory, self._clock())
            gpus = self._gpus.changes(world, session.node, troubles, self._clock())
            return Changes(put=(*offer.put, *gpus.put), events=(*offer.events, *gpus.events))

        await self._change(session, decide)
        self._gpus.stored(session.node, troubles, self._clock())

    async def _change(self, session: Session, decide: Decision) -> None:
        """What an older link still says after a newer one has told everything is not taken over.

        A refusal ends the link: the agent connects again and tells everything anew.
        """
        await self._ledger.change(lambda world: Changes() if session.closed else decide(world))
