"""The routes feed: what the scheduler says must be served, and what the Envoys say to that."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import grpc

from easel.gateway.v1 import gateway_pb2 as pb
from easel.gateway.v1 import gateway_pb2_grpc as rpc
from libs.lifecycle import pause
from services.gateway.outbox import Outbox
from services.gateway.publisher import Publisher
from services.gateway.questions import Questions
from services.gateway.translate import update_from_proto

log = logging.getLogger(__name__)

# Tried this often while an outage is young, as at a start of the scheduler; then ever less often.
_FIRST_WAIT = timedelta(milliseconds=100)
_LONGEST_WAIT = timedelta(seconds=5)
_YOUNG = timedelta(seconds=3)
# How long a scheduler may take from the call to the full state.
_PATIENCE = timedelta(seconds=15)


@dataclass(frozen=True)
class Identity:
    """How this gateway introduces itself."""

    name: str
    public_url: str
    # The node that it serves, and its own address for clients that connect directly.
    node: str = ""
    direct_address: str = ""
    # Whether it runs further gateways.
    hosts: bool = False
    # Each service has a host name in it.
    domain: str = ""
    # Where its Envoy listens without TLS.
    port: int = 0


class Feed:
    """Keeps the gateway at what the scheduler says; while the scheduler is away, all stays as it was."""

    def __init__(
        self,
        channel: grpc.aio.Channel,
        identity: Identity,
        publisher: Publisher,
        outbox: Outbox,
        questions: Questions,
    ) -> None:
        self._stub: rpc.RoutesServiceAsyncStub = rpc.RoutesServiceStub(channel)
        self._identity, self._publisher = identity, publisher
        self._outbox, self._questions = outbox, questions
        self._wait, self._away_since = _FIRST_WAIT, 0.0

    async def run(self, until: asyncio.Event) -> None:
        """Connects, and connects again with growing pauses, until stopped."""
        while not until.is_set():
            following = asyncio.create_task(self._follow())
            stopping = asyncio.create_task(until.wait())
            await asyncio.wait((following, stopping), return_when=asyncio.FIRST_COMPLETED)
            stopping.cancel()
            if not following.done():
                following.cancel()
            result = (await asyncio.gather(following, return_exceptions=True))[0]
            if until.is_set():
                return
            if isinstance(result, BaseException) and not isinstance(
                result, grpc.aio.AioRpcError | TimeoutError
            ):
                raise result
            await pause(until, self._next_wait(result))

    def _next_wait(self, result: BaseException | None) -> timedelta:
        """How long to wait before the next try; an outage that is no longer young is said once."""
        now = time.monotonic()
        self._away_since = self._away_since or now
        if now - self._away_since < _YOUNG.total_seconds():
            return _FIRST_WAIT
        if self._wait == _FIRST_WAIT:
            log.warning(
                "the scheduler is away; Envoy keeps serving what it has",
                extra={"why": _reason(result), "services": len(self._publisher.services)},
            )
        self._wait = min(2 * self._wait, _LONGEST_WAIT)
        return self._wait

    async def _follow(self) -> None:
        call = self._stub.Connect(self._requests(self._outbox.connected()))
        try:
            # Unlike wait_for, this never takes an end that comes with the answer for the answer.
            async with asyncio.timeout(_PATIENCE.total_seconds()):
                first = await call.read()
            message = first
            while isinstance(message, pb.ConnectResponse):
                if message.HasField("update"):
                    await self._take(message.update, first=message is first)
                else:
                    self._questions.ask(message)
                self._wait, self._away_since = _FIRST_WAIT, 0.0
                message = await call.read()
            code = await call.code()
            if code is not grpc.StatusCode.OK:
                raise TimeoutError(f"{code.name}: {await call.details()}")
        finally:
            self._questions.nobody_asks()
            self._outbox.disconnected()
            call.cancel()

    async def _take(self, message: pb.RoutesUpdate, *, first: bool) -> None:
        update = update_from_proto(message)
        await self._publisher.publish(update)
        if first:
            log.info(
                "routes received",
                extra={"generation": update.generation, "services": len(self._publisher.services)},
            )

    async def _requests(self, said: AsyncIterator[pb.ConnectRequest]) -> AsyncIterator[pb.ConnectRequest]:
        yield pb.ConnectRequest(
            hello=pb.GatewayHello(
                gateway=self._identity.name,
                generation=self._publisher.generation,
                public_url=self._identity.public_url,
                envoys=len(self._publisher.envoys),
                node=self._identity.node,
                direct_address=self._identity.direct_address,
                hosts=self._identity.hosts,
                domain=self._identity.domain,
                port=self._identity.port,
            )
        )
        async for message in said:
            yield message


def _reason(result: BaseException | None) -> str:
    if isinstance(result, grpc.aio.AioRpcError):
        return f"{result.code().name}: {result.details()}"
    return str(result or "the stream ended") or type(result).__name__
