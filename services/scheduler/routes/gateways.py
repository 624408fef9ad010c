"""The gateways that are connected, and which routes each has applied."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain

from services.scheduler.reconcile.drain import Unrouted
from services.scheduler.routes.table import RoutesTable

_NOT_BACK = "a gateway that has not come back since the scheduler started"


@dataclass(eq=False)
class Gateway:
    """One connection of a gateway: the newest generation that all its Envoys have applied."""

    name: str
    public_url: str
    envoys: int
    applied: int = 0
    away_since: datetime | None = None


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
        gateway.applied = max(gateway.applied, generation)
        for listener in self._applied_listeners:
            listener(lambda instance: gateway.applied < self._table.with_endpoint(instance))

    def on_applied(self, listener: Callable[[Callable[[str], bool]], None]) -> None:
        """`listener` is told whenever a gateway has applied newer routes, with a test of what it lacks."""
        self._applied_listeners.append(listener)

    def unrouted(self, instance: str) -> Unrouted:
        """How far the gateways are with routing around an instance that left the routes."""
        needed = self._table.without(instance)
        lagging = [f"gateway {gateway.name}" for gateway in self._known() if gateway.applied < needed]
        if self._clock() < self._settled_at and not self._table.came_since_start(instance):
            lagging.append(_NOT_BACK)
        return Unrouted(tuple(dict.fromkeys(lagging)))

    @property
    def linked(self) -> int:
        """How many gateways are connected now."""
        return len(self._linked)

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
