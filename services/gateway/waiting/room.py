"""Where requests wait for an instance, and the loop that lets them go once Envoy can lead them to one."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from libs.lifecycle import pause, wakes
from services.gateway.routes import Group, Hold, Service
from services.gateway.routing.waiting import GATEWAY_ENDS, too_long, waits
from services.gateway.waiting.queue import Line, Place, Queue

# So many at once of one service: not all that wait shall connect to an instance in the same moment.
AT_ONCE = 50
PACE = timedelta(milliseconds=10)


class Routes(Protocol):
    """What is known, and how far the Envoys are."""

    @property
    def services(self) -> Mapping[str, Service]: ...

    @property
    def groups(self) -> Mapping[str, Group]: ...

    def in_force(self, service: str, group: str) -> bool:
        """Whether every Envoy has all that is known of a service, and of a group where one is named."""


@dataclass(frozen=True)
class Asked:
    """A request that an Envoy asks about."""

    service: str
    group: str = ""
    # When its Envoy began to read it.
    came: float = 0.0
    # Of the body, as the request says it; negative where it does not.
    length: int = -1


class WaitingRoom:
    """Safe to ask at any time. Who is let go finds the routes that are in force then."""

    def __init__(self, routes: Routes, clock: Callable[[], float] = time.monotonic) -> None:
        self._routes, self._clock = routes, clock
        self._queue = Queue()
        self._answers: dict[int, asyncio.Future[str]] = {}
        # Since when no request of an entry would have to wait any more.
        self._awake: dict[tuple[str, str], float] = {}
        self._woken = asyncio.Event()
        self._ended = False
        self.on_changed: Callable[[], None] = lambda: None

    @property
    def lines(self) -> Mapping[str, Line]:
        """What is known of each service of which a request ever waited."""
        return self._queue.lines

    def forget(self) -> None:
        """Drops what is known of services that are no more."""
        self._queue.forget(self._routes.services)

    def look(self) -> None:
        """Says that routes, or what Envoys have of them, may differ from before."""
        if self._answers:
            self._woken.set()

    async def enter(self, asked: Asked) -> str:
        """Returns nothing when the request is to go on, or why not. Cancelled, it gives its place up."""
        if self._ended:
            return GATEWAY_ENDS
        service = self._routes.services.get(asked.service)
        if service is None:
            return ""
        # One that need not wait any more does so until its Envoy knows.
        hold = service.hold or Hold()
        place = self._queue.take(asked.service, asked.group, hold, asked.length, asked.came, self._clock())
        self.on_changed()
        if isinstance(place, str):
            return place
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._answers[place.number] = answer
        self._woken.set()
        try:
            async with asyncio.timeout(hold.within.total_seconds()):
                return await answer
        except TimeoutError:
            self._queue.refuse(place)
            return too_long(asked.service, hold)
        finally:
            del self._answers[place.number]
            self._queue.leave(place)
            self.on_changed()

    async def run(self, until: asyncio.Event) -> None:
        """Lets go, in the order in which they came, until stopped; then refuses all that wait."""
        try:
            async for _ in wakes(self._woken, until):
                while self._let_go():
                    await pause(until, PACE)
        finally:
            self._ended = True
            for line in self._queue.lines.values():
                for place in list(line.places.values()):
                    self._queue.refuse(place)
                    self._answer(place, GATEWAY_ENDS)

    def _let_go(self) -> bool:
        """One slice of each entry that need not wait; whether there is more."""
        now, more = self._clock(), False
        entries = self._queue.entries
        self._awake = {each: since for each, since in self._awake.items() if each in entries}
        for service, group in entries:
            if waits(service, group, self._routes.services, self._routes.groups):
                self._awake.pop((service, group), None)
                continue
            known_since = self._awake.setdefault((service, group), now)
            if not self._routes.in_force(service, group):
                continue
            places = self._queue.next(AT_ONCE, service, group)
            self._queue.release(places, now, known_since)
            for place in places:
                self._answer(place, "")
            more = more or len(places) == AT_ONCE
        return more

    def _answer(self, place: Place, answer: str) -> None:
        waiting = self._answers.get(place.number)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
