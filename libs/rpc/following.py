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
_QUIET_FOR = timedelta(seconds=1.5)


class Outage:
    """Says once that `what` is away for `component`, and once that it is back; not while it is young.

    Several streams of a process to one part share one, each under its own name: it is back with the last of
    them. A part that is started together with this one may be given longer to be there `at_first`.
    """

    def __init__(
        self,
        component: str,
        what: str,
        clock: Callable[[], float] = time.monotonic,
        at_first: timedelta = _QUIET_FOR,
        later: timedelta = _QUIET_FOR,
    ) -> None:
        self._component, self._what, self._clock = component, what, clock
        self._grace, self._later = at_first, later
        self._since: dict[str, float] = {}
        self._said = False

    def over(self, stream: str = "") -> None:
        self._grace = self._later
        self._since.pop(stream, None)
        if self._said and not self._since:
            self._said = False
            log.info(f"{self._what} is back", extra={"component": self._component})

    def lasts(self, why: str, stream: str = "") -> None:
        """To be called again and again while it is away."""
        now = self._clock()
        since = self._since.setdefault(stream, now)
        if not self._said and now - since >= self._grace.total_seconds():
            self._said = True
            extra = {"component": self._component, "why": why}
            log.warning(f"{self._what} is away and is dialled again", extra=extra)


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
