"""The gateways that are connected, and which routes each has applied."""

from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain

from services.scheduler.reconcile.drain import Unrouted
from services.scheduler.routes.table import RoutesTable

# Acknowledgements of which the time is remembered, a connection. Older ones count as the oldest of these.
_ACKS = 1024
_NOT_BACK = "a gateway that has not come back since the scheduler started"


@dataclass(eq=False)
class Gateway:
    """One connection of a gateway: the newest generation that all its Envoys have applied."""

    name: str
    public_url: str
    envoys: int
    applied: int = 0
    away_since: datetime | None = None
    generations: list[int] = field(default_factory=list)
    times: list[datetime] = field(default_factory=list)

    def acknowledge(self, generation: int, now: datetime) -> None:
        """Remembers when; a generation that is not newer changes nothing."""
        if generation <= self.applied:
            return
        self.applied = generation
        self.generations.append(generation)
        self.times.append(now)
        if len(self.times) > 2 * _ACKS:
            del self.generations[:-_ACKS], self.times[:-_ACKS]

    def applied_at(self, generation: int) -> datetime | None:
        """When it had this generation or a newer one; never earlier than the truth. None while it has not."""
        place = bisect_left(self.generations, generation)
        return self.times[place] if place < len(self.times) else None


class Gateways:
    """Remembers gateways that went away: their Envoys still route as they last were told.

    For the same reason it reckons, for `settle` after a start, with gateways that have yet to come back.
    """

    def __init__(
        self,
        table: RoutesTable,
        clock: Callable[[], datetime],
        forget_after: timedelta = timedelta(minutes=5),
        settle: timedelta = timedelta(seconds=10),
    ) -> None:
        self._table, self._clock, self._forget_after = table, clock, forget_after
        self._settled_at = clock() + settle
        self._linked: list[Gateway] = []
        self._away: dict[str, Gateway] = {}
        self._applied_listeners: list[Callable[[Callable[[str], bool]], None]] = []

    def connected(self, name: str, public_url: str, envoys: int) -> Gateway:
        """A connection of its own, so that no gateway's word is taken for another's of the same name."""
        gateway = Gateway(name, public_url, envoys)
        self._away.pop(name, None)
        self._linked.append(gateway)
        return gateway

    def left(self, gateway: Gateway) -> None:
        self._linked.remove(gateway)
        if all(other.name != gateway.name for other in self._linked):
            gateway.away_since = self._clock()
            self._away[gateway.name] = gateway

    def applied(self, gateway: Gateway, generation: int, envoys: int) -> None:
        """Takes over what a gateway says; of a generation that was never given out it can say nothing."""
        gateway.envoys = envoys
        if generation > self._table.generation:
            return
        gateway.acknowledge(generation, self._clock())
        for listener in self._applied_listeners:
            listener(lambda instance: gateway.applied < self._table.with_endpoint(instance))

    def on_applied(self, listener: Callable[[Callable[[str], bool]], None]) -> None:
        """`listener` is told whenever a gateway has applied newer routes, with a test of what it lacks."""
        self._applied_listeners.append(listener)

    def unrouted(self, instance: str) -> Unrouted:
        """How far the gateways are with routing around an instance that left the routes."""
        needed = self._table.without(instance)
        reached = [(gateway, gateway.applied_at(needed)) for gateway in self._known()]
        lagging = [f"gateway {gateway.name}" for gateway, at in reached if at is None]
        if self._clock() < self._settled_at and not self._table.came_since_start(instance):
            lagging.append(_NOT_BACK)
        times = [at for _, at in reached if at is not None]
        return Unrouted(tuple(dict.fromkeys(lagging)), max(times, default=None))

    def public_url(self) -> str | None:
        """Where clients reach a gateway; None before one has said it."""
        return next((g.public_url for g in self._known() if g.public_url), None)

    def _known(self) -> Iterator[Gateway]:
        """The connected ones first."""
        forgotten = self._clock() - self._forget_after
        for gateway in tuple(self._away.values()):
            if gateway.away_since is not None and gateway.away_since <= forgotten:
                del self._away[gateway.name]
        yield from chain(self._linked, self._away.values())
