"""The stream to the scheduler: what runs goes up, what is wanted comes down."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Protocol

import grpc

from easel.agent.v1 import agent_pb2 as pb
from easel.agent.v1.agent_pb2_grpc import AgentLinkServiceStub
from libs.domain.errors import EaselError, Unavailable
from libs.domain.states import TROUBLED_STATES
from services.agent.board import Board
from services.agent.wire import report_of

log = logging.getLogger(__name__)

FIRST_WAIT = 0.1
LONGEST_WAIT = 5.0
# A scheduler that is only just starting is not worth a word.
QUIET_FOR = 1.5
HELLO_WITHIN = 10.0
PULLS_TOLD_EVERY = 1.0
_QUEUED_CHUNKS = 64

_CHUNK = 256 << 10


class Voice(Protocol):
    """What there is to say, asked for when it is said."""

    async def hello(self) -> pb.Hello: ...

    async def heartbeat(self) -> pb.Heartbeat: ...

    def logs(self, instance: str, tail: int, follow: bool) -> AsyncIterator[bytes]: ...


class Pulls(Protocol):
    """How far the images are that the scheduler asked for."""

    def all(self) -> list[pb.ImagePullReport]: ...

    async def changes(self) -> list[pb.ImagePullReport]: ...


class Link:
    """Keeps one stream open. A new one begins with all there is, so nothing is lost with an old one."""

    def __init__(
        self,
        dial: Callable[[], grpc.aio.Channel],
        voice: Voice,
        board: Board,
        pulls: Pulls,
        obey: Callable[[pb.DesiredState], None],
        heartbeat_every: timedelta,
    ) -> None:
        self._dial, self._voice, self._board, self._pulls, self._obey = dial, voice, board, pulls, obey
        self._every = heartbeat_every.total_seconds()
        self._urgent = asyncio.Event()

    def beat_now(self) -> None:
        """The next heartbeat goes at once: it carries something that others act on."""
        self._urgent.set()

    async def run(self) -> None:
        """Until cancelled. An outage is said once, and not while it is young: it may just start."""
        wait, began, said = FIRST_WAIT, 0.0, False
        while True:
            session = _Session(self._voice, self._board, self._pulls, self._obey, self._every, self._urgent)
            try:
                async with self._dial() as channel:
                    await session.run(channel)
                why = "the scheduler ended the stream"
            except grpc.aio.AioRpcError as error:
                why = error.details() or error.code().name
            except (EaselError, OSError) as error:
                why = str(error) or type(error).__name__
            if session.heard:
                wait, began, said = FIRST_WAIT, 0.0, False
            began = began or time.monotonic()
            if not said and time.monotonic() - began >= QUIET_FOR:
                said = True
                log.warning("scheduler is away; instances keep running", extra={"why": why})
            await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311
            wait = min(LONGEST_WAIT, wait * 1.6)


class _Session:
    """One stream. `heard` tells whether the scheduler ever said what it wants."""

    def __init__(
        self,
        voice: Voice,
        board: Board,
        pulls: Pulls,
        obey: Callable[[pb.DesiredState], None],
        every: float,
        urgent: asyncio.Event,
    ) -> None:
        self._voice, self._board, self._pulls, self._obey = voice, board, pulls, obey
        self._every, self._urgent = every, urgent
        self._chunks: asyncio.Queue[pb.LogChunk] = asyncio.Queue(_QUEUED_CHUNKS)
        self._reading: dict[str, asyncio.Task[None]] = {}
        self._writing = asyncio.Lock()
        self.heard = False

    async def run(self, channel: grpc.aio.Channel) -> None:
        """Until the stream ends. Raises AioRpcError."""
        stub = AgentLinkServiceStub(channel)
        self._stream = stub.Connect(timeout=None)
        async with asyncio.timeout(HELLO_WITHIN):
            hello = await self._voice.hello()
        hello.running.extend(report_of(status) for status in self._board.all())
        tasks: list[asyncio.Task[None]] = []
        try:
            await self._say(pb.ConnectRequest(hello=hello))
            tasks = [
                asyncio.create_task(talk())
                for talk in (self._listen, self._report, self._report_pulls, self._beat, self._send_chunks)
            ]
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (*tasks, *self._reading.values()):
                task.cancel()
            self._stream.cancel()
            await asyncio.gather(*tasks, *self._reading.values(), return_exceptions=True)

    async def _say(self, message: pb.ConnectRequest) -> None:
        async with self._writing:
            try:
                await self._stream.write(message)
            except asyncio.InvalidStateError as ended:  # grpc's word for writing to a stream that is over
                raise Unavailable(await self._stream.details() or "the stream is over") from ended

    async def _listen(self) -> None:
        async for message in self._stream:
            match message.WhichOneof("message"):
                case "desired":
                    if not self.heard:
                        log.info("scheduler heard", extra={"epoch": message.desired.epoch})
                    self.heard = True
                    self._obey(message.desired)
                case "log_request":
                    asked = message.log_request
                    task = asyncio.create_task(self._read_log(asked))
                    self._reading[asked.request_id] = task
                    task.add_done_callback(partial(self._forget, asked.request_id))
                case "log_cancel":
                    reader = self._reading.get(message.log_cancel.request_id)
                    if reader is not None:
                        reader.cancel()

    def _forget(self, request: str, _: object) -> None:
        self._reading.pop(request, None)

    async def _report(self) -> None:
        while True:
            changed = await self._board.changes()
            if any(status.state in TROUBLED_STATES for status in changed):
                # What the node lacks, such as a free port, is known before the trouble that it made.
                await self._say(pb.ConnectRequest(heartbeat=await self._voice.heartbeat()))
            reports = pb.InstanceReports(instances=[report_of(status) for status in changed])
            await self._say(pb.ConnectRequest(reports=reports))

    async def _report_pulls(self) -> None:
        reports = self._pulls.all()
        while True:
            if reports:
                told = pb.ImagePullReports(pulls=reports)
                await self._say(pb.ConnectRequest(image_pulls=told))
                await asyncio.sleep(PULLS_TOLD_EVERY)
            reports = await self._pulls.changes()

    async def _beat(self) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every):
                    await self._urgent.wait()
            self._urgent.clear()
            beat = await self._voice.heartbeat()
            await self._say(pb.ConnectRequest(heartbeat=beat))

    async def _send_chunks(self) -> None:
        while True:
            await self._say(pb.ConnectRequest(log_chunk=await self._chunks.get()))

    async def _read_log(self, asked: pb.LogRequest) -> None:
        try:
            async for text in self._voice.logs(asked.instance_id, asked.tail, asked.follow):
                for start in range(0, len(text), _CHUNK):
                    part = text[start : start + _CHUNK]
                    await self._chunks.put(pb.LogChunk(request_id=asked.request_id, text=part))
        except EaselError as refused:
            await self._chunks.put(pb.LogChunk(request_id=asked.request_id, end=True, error=str(refused)))
        except Exception as broken:
            # Whoever asked would otherwise wait for an end that never comes.
            log.exception("reading a log broke", extra={"instance": asked.instance_id})
            why = f"the log cannot be read: {broken}"
            await self._chunks.put(pb.LogChunk(request_id=asked.request_id, end=True, error=why))
        else:
            await self._chunks.put(pb.LogChunk(request_id=asked.request_id, end=True))
