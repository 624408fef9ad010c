"""The calls underneath: a deadline on each, a retry where repeating is harmless, refusals as exceptions."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

import grpc
import grpc.aio

from easel_sdk.errors import DeadlineExceeded, EaselError, NoScheduler
from libs.rpc.client import dial
from libs.rpc.errors import DETAILS_KEY, easel_error

Request = TypeVar("Request")
Response = TypeVar("Response")
Item = TypeVar("Item")

_PAUSES = (0.1, 0.3, 0.6)  # Seconds between the attempts of one call.
_LONGEST_PAUSE = 2.0
# A stream is renewed after this long, so that none outlives its peer unnoticed.
_STREAM_SECONDS = 600.0
# A stream that held this long was connected, even if it had nothing to say.
_QUIET_SECONDS = 1.0
_GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN)


class Wire:
    """One channel to a scheduler. Close it when done."""

    def __init__(
        self,
        address: str,
        token: str,
        seconds: float,
        patience: float,
        interceptors: tuple[grpc.aio.ClientInterceptor, ...] = (),
    ) -> None:
        """`seconds` bounds a call, `patience` how long a watch goes on looking for a lost scheduler."""
        self.address = address
        self.channel = dial(address, token, *interceptors)
        self._seconds, self._patience = seconds, patience

    async def close(self) -> None:
        await self.channel.close()

    async def call(
        self,
        method: grpc.aio.UnaryUnaryMultiCallable[Request, Response],
        request: Request,
        *,
        repeatable: bool = False,
        seconds: float | None = None,
    ) -> Response:
        """One answer, within `seconds` where given. A `repeatable` call is sent again when the scheduler is
        away for a moment."""
        ends = time.monotonic() + (self._seconds if seconds is None else seconds)
        for pause in (*_PAUSES, None):
            left = max(ends - time.monotonic(), 0.05)
            try:
                return await method(request, timeout=left)
            except grpc.aio.AioRpcError as error:
                again = repeatable and error.code() is grpc.StatusCode.UNAVAILABLE
                if not again or pause is None or time.monotonic() + pause > ends:
                    raise self.refusal(error) from error
            await asyncio.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    async def stream(
        self,
        method: grpc.aio.UnaryStreamMultiCallable[Request, Response],
        request: Callable[[], Request],
        *,
        again: bool,
    ) -> AsyncIterator[Response]:
        """A stream's messages. With `again` it is asked for anew, from `request()`, each time it breaks."""
        lost_at: float | None = None
        connected = False
        while True:
            began = time.monotonic()
            try:
                async for message in method(request(), timeout=_STREAM_SECONDS):
                    lost_at, connected = None, True
                    yield message
                if not again:
                    return
                failure: EaselError = NoScheduler(self.address)
            except grpc.aio.AioRpcError as error:
                failure = self.refusal(error)
                connected = connected or time.monotonic() - began > _QUIET_SECONDS
                renewable = error.code() is grpc.StatusCode.DEADLINE_EXCEEDED or error.code() in _GONE
                if not (again and connected and renewable):
                    raise failure from error
            now = time.monotonic()
            lost_at = now if lost_at is None or now - began > _QUIET_SECONDS else lost_at
            if now - lost_at > self._patience:
                raise failure
            await asyncio.sleep(min(_LONGEST_PAUSE, 0.1 + (now - lost_at) / 2))

    def refusal(self, error: grpc.aio.AioRpcError) -> EaselError:
        """The exception for a failed call; one that never reached the scheduler says so."""
        answered = any(key == DETAILS_KEY for key, _ in error.trailing_metadata() or ())
        if not answered and error.code() is grpc.StatusCode.UNAVAILABLE:
            return NoScheduler(self.address)
        if not answered and error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            return DeadlineExceeded(f"the scheduler at {self.address} did not answer in time")
        return easel_error(error)


async def pages(page: Callable[[str], Awaitable[tuple[list[Item], str]]]) -> AsyncIterator[Item]:
    """Every item of every page; `page` takes a page token and returns items and the next token."""
    token = ""
    while True:
        items, token = await page(token)
        for item in items:
            yield item
        if not token:
            return
