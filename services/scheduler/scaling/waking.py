"""How long a service that slept took to answer, and what of: one event for each time it woke."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.db.changes import Changes
from libs.domain.records import Event, Instance, Service
from libs.domain.states import EventKind
from services.scheduler.ledger import Ledger
from services.scheduler.scaling.waiting import Level, WaitingRequests
from services.scheduler.world import World

# Gateways let go of what they hold within moments of each other; some of it may wait on for longer.
_SETTLES = timedelta(seconds=2)


@dataclass
class _Wait:
    """`began`: when the first gateway said so. The rest is of the requests that were let go on."""

    began: datetime
    released: int = 0
    released_at: datetime | None = None
    waited_s: float = 0.0
    routing_s: float = 0.0
    told: bool = False


class Wakes:
    """Follows what gateways say of requests that wait."""

    def __init__(self, ledger: Ledger, waiting: WaitingRequests, clock: Callable[[], datetime]) -> None:
        self._ledger, self._waiting, self._clock = ledger, waiting, clock
        self._waits: dict[str, _Wait] = {}
        waiting.on_changed(self._changed)
        waiting.on_released(self._let_go)

    async def look(self) -> None:
        """Tells of those that woke, once what they held is gone, or has had its time."""
        now = self._clock()
        events = []
        for name, wait in tuple(self._waits.items()):
            empty = not self._waiting.of(name)
            settled = wait.released_at is not None and (empty or now - wait.released_at >= _SETTLES)
            if settled and not wait.told:
                wait.told = True
                events += _woke(self._ledger.world, name, wait, now)
            if empty:
                del self._waits[name]
        if events:
            await self._ledger.change(lambda _world: Changes(events=tuple(events)))

    def _changed(self, services: Iterable[str]) -> None:
        for name in services:
            if name not in self._waits and self._waiting.of(name):
                self._waits[name] = _Wait(self._clock())

    def _let_go(self, more: int, level: Level) -> None:
        wait = self._waits.setdefault(level.service, _Wait(self._clock()))
        wait.released += more
        wait.released_at = wait.released_at or self._clock()
        if level.waited_s >= wait.waited_s:
            wait.waited_s, wait.routing_s = level.waited_s, level.routing_s


def _woke(world: World, name: str, wait: _Wait, now: datetime) -> list[Event]:
    service = world.services.get(name)
    return [woke(service, world.instances_of(name), wait, now)] if service is not None else []


def woke(service: Service, instances: Iterable[Instance], wait: _Wait, now: datetime) -> Event:
    """Such as "awake after 1.92 s: deciding 0.03, placing 0.01, starting 1.2, routing 0.01; 12 requests had
    waited". Pure."""
    phases = dict(_phases(instances, wait.began))
    phases["routing"] = wait.routing_s
    spent = ", ".join(f"{name} {_seconds(took)}" for name, took in phases.items())
    requests = "1 request" if wait.released == 1 else f"{wait.released} requests"
    why = f"awake after {_seconds(wait.waited_s)} s: {spent}; {requests} had waited"
    details = {
        "waited_s": f"{wait.waited_s:.3f}",
        "requests": str(wait.released),
        **{f"{name}_s": f"{took:.3f}" for name, took in phases.items()},
    }
    return Event(now, EventKind.NORMAL, "Woke", why, "service", service.name, service.name, details=details)


def _phases(instances: Iterable[Instance], began: datetime) -> Iterable[tuple[str, float]]:
    """Those of the first instance to answer, where it was made for these requests."""
    made = [i for i in instances if i.serves and i.ready_at is not None and i.created_at >= began]
    if not made:
        return
    first = min(made, key=lambda i: (i.ready_at, i.id))
    yield "deciding", (first.created_at - began).total_seconds()
    yield from ((phase.name, phase.seconds) for phase in first.phases)


def _seconds(took: float) -> str:
    return f"{took:.2f}".rstrip("0").rstrip(".")
