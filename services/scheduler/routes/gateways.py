"""The gateways that are connected, and which routes each has applied."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.scheduler.routes.table import RoutesTable


@dataclass
class Gateway:
    """One gateway: the newest generation that all its Envoys have applied."""

    name: str
    public_url: str
    applied: int
    envoys: int
    connections: int = 0
    away_since: datetime | None = None


class Gateways:
    """Remembers gateways that went away: their Envoys still route as they last were told."""

    def __init__(
        self,
        table: RoutesTable,
        clock: Callable[[], datetime],
        forget_after: timedelta = timedelta(minutes=5),
    ) -> None:
        self._table, self._clock, self._forget_after = table, clock, forget_after
        self._known: dict[str, Gateway] = {}
        self._applied_listeners: list[Callable[[Callable[[str], bool]], None]] = []

    def connected(self, name: str, public_url: str, envoys: int) -> Gateway:
        gateway = self._known.get(name)
        if gateway is None:
            gateway = self._known[name] = Gateway(name, public_url, 0, envoys)
        gateway.public_url, gateway.envoys, gateway.away_since = public_url, envoys, None
        gateway.connections += 1
        return gateway

    def left(self, gateway: Gateway) -> None:
        gateway.connections -= 1
        if gateway.connections == 0:
            gateway.away_since = self._clock()

    def applied(self, gateway: Gateway, generation: int, envoys: int) -> None:
        gateway.applied, gateway.envoys = max(gateway.applied, generation), envoys
        for listener in self._applied_listeners:
            listener(lambda instance: gateway.applied < self._table.with_endpoint(instance))

    def on_applied(self, listener: Callable[[Callable[[str], bool]], None]) -> None:
        """`listener` is told whenever a gateway has applied newer routes, with a test of what it lacks."""
        self._applied_listeners.append(listener)

    def lagging(self, instance: str) -> tuple[str, ...]:
        """The gateways whose Envoys may still route to this instance."""
        needed = self._table.without(instance)
        return tuple(f"gateway {g.name}" for g in self._known.values() if g.applied < needed)

    def public_url(self) -> str | None:
        """Where clients reach a gateway; None before one has said it."""
        return next((g.public_url for g in self._known.values() if g.public_url), None)
