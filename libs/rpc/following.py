"""Following a stream of another part for as long as this part runs, however often that one goes away."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any, TypeVar

import grpc

from libs.lifecycle import pause

log = logging.getLogger(__name__)

T = TypeVar("T")

AGAIN = timedelta(seconds=0.5)
_PATIENCE_S = 15.0
# A part that is only just starting is not worth a word.
_QUIET_FOR_S = 1.5


class Outage:
    """Says once that `what` is away for `component`, and once that it is back; not while it is young."""

    def __init__(self, component: str, what: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._component, self._what, self._clock = component, what, clock
        self._since: float | None = None
        self._said = False

    def over(self) -> None:
        if self._said:
            log.info("what was away is back", extra={"component": self._component, "what": self._what})
        self._since, self._said = None, False

    def lasts(self, why: str) -> None:
        """To be called again and again while it is away."""
        now = self._clock()
        if self._since is None:
            self._since = now
        if not self._said and now - self._since >= _QUIET_FOR_S:
            self._said = True
            extra = {"component": self._component, "what": self._what, "why": why}
            log.warning("a part is away and is dialled again", extra=extra)


async def listen(call: "grpc.aio.UnaryStreamCall[Any, T]", take: Callable[[T], None], outage: Outage) -> None:
    """Takes each message until the stream ends. One that says nothing at first is not waited for long."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            told: Any = await call.read()
        while told is not grpc.aio.EOF:
            outage.over()
            take(told)
            told = await call.read()
        outage.lasts("the stream ended")
    except grpc.aio.AioRpcError as refused:
        outage.lasts(f"{refused.code().name}: {refused.details()}")
    except TimeoutError:
        outage.lasts("it said nothing")
    finally:
        call.cancel()


async def follow(
    opened: "Callable[[], grpc.aio.UnaryStreamCall[Any, T]]",
    take: Callable[[T], None],
    lost: Callable[[], None],
    outage: Outage,
    until: asyncio.Event,
) -> None:
    """Listens to one stream after the other until stopped; `lost` is called at the end of each."""
    while not until.is_set():
        await _unless_stopped(listen(opened(), take, outage), until)
        lost()
        await pause(until, AGAIN)


async def _unless_stopped(listening: Coroutine[Any, Any, None], until: asyncio.Event) -> None:
    task, stopping = asyncio.create_task(listening), asyncio.create_task(until.wait())
    try:
        await asyncio.wait((task, stopping), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        task.cancel()
    result = (await asyncio.gather(task, return_exceptions=True))[0]
    if isinstance(result, Exception):
        raise result
