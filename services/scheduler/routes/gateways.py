"""The gateways that are connected, and which routes each has applied."""

import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import TypeVar

from easel.common.v1 import common_pb2
from easel.gateway.v1 import gateway_pb2
from libs.domain.traffic import SHARED_GATEWAY
from services.scheduler.reconcile.drain import Unrouted
from services.scheduler.routes.held import Held
from services.scheduler.routes.journal import Audience
from services.scheduler.routes.table import RoutesTable

K = TypeVar("K")

_NOT_BACK = "a gateway that has not come back since the scheduler started"


@dataclass(eq=False)
class Gateway:
    """One connection of a gateway: the newest generation that all its Envoys have applied."""

    name: str
    public_url: str
    envoys: int
    audience: Audience
    held: Held
    # The generation of the routes when it connected, and when that was; the generation it was sent first.
    joined: int
    joined_at: datetime
    node: str = ""
    domain: str = ""
    direct_address: str = ""
    hosts: bool = False
    # Where its Envoy listens without TLS; 0 when it does not say.
    port: int = 0
    first_sent: int = 0
    last_sent: int = 0
    applied: int = 0
    away_since: datetime | None = None
    why: str = ""
    certificates: tuple[common_pb2.CertificateStatus, ...] = ()
    # One connection among those of one name, in what they report.
    key: str = field(default_factory=lambda: secrets.token_hex(8))
    # Hands it a question.
    ask: Callable[[gateway_pb2.ConnectResponse], None] = field(default=lambda message: None)

    @property
    def proven(self) -> bool:
        """Whether it has applied what it was sent, so that it has nothing from before."""
        return 0 < self.first_sent <= self.applied

    @property
    def behind(self) -> int:
        """Generations that it was sent and has not applied; 1 before it has applied any."""
        since = self.applied if self.applied >= self.first_sent else self.last_sent - 1
        return max(0, self.last_sent - since)


class Gateways:
    """Remembers gateways that went away: their Envoys still route as they last were told.

    For the same reason it reckons, for `settle` after a start, with gateways that have yet to come back. The
    gateway of a node that is away for `node_grace` is no place for clients to connect to any more.
    """

    def __init__(
        self,
        table: RoutesTable,
        clock: Callable[[], datetime],
        forget_after: timedelta = timedelta(minutes=5),
        settle: timedelta = timedelta(seconds=10),
        node_grace: timedelta = timedelta(seconds=15),
    ) -> None:
        self._table, self._clock, self._forget_after = table, clock, forget_after
        self._node_grace = node_grace
        self._settle, self._settled_at = settle, clock() + settle
        self._linked: dict[str, list[Gateway]] = {}
        self._away: dict[str, Gateway] = {}
        self._nodes_away: dict[str, datetime] = {}
        self._of_audience: dict[Audience, list[Gateway]] = {}
        self._holders: dict[str, set[Held]] = {}
        self._owner: dict[Held, Gateway] = {}
        self._unproven: set[Gateway] = set()
        self._applied_listeners: list[Callable[[Callable[[str], bool]], None]] = []

    # --- connections

    def connected(
        self,
        name: str,
        public_url: str,
        envoys: int,
        *,
        node: str = "",
        direct_address: str = "",
        domain: str = "",
        hosts: bool = False,
        port: int = 0,
    ) -> Gateway:
        """A connection of its own, so that no gateway's word is taken for another's of the same name."""
        if node:
            audience = self._table.node_joined(node, direct_address)
            self._nodes_away.pop(node, None)
        else:
            audience = self._table.audience(name)
            if public_url and not any(each.public_url for each in self._linked.get(name, ())):
                self._table.reached_at(name, public_url)
        gateway = Gateway(
            name=name,
            public_url=public_url,
            envoys=envoys,
            audience=audience,
            held=Held(self._holders),
            joined=self._table.generation,
            joined_at=self._clock(),
            node=node,
            domain=domain,
            direct_address=direct_address,
            hosts=hosts,
            port=port,
        )
        self._owner[gateway.held] = gateway
        before = self._away.pop(name, None)
        if before is not None:
            gateway.held.inherit(before.held)
            self._drop(before)
        self._linked.setdefault(name, []).append(gateway)
        self._of_audience.setdefault(audience, []).append(gateway)
        self._unproven.add(gateway)
        return gateway

    def left(self, gateway: Gateway) -> None:
        _remove(self._linked, gateway.name, gateway)
        _remove(self._of_audience, gateway.audience, gateway)
        if gateway.node and gateway.audience not in self._of_audience:
            self._nodes_away[gateway.node] = self._clock()
        if gateway.name in self._linked:
            self._drop(gateway)
        else:
            gateway.away_since = self._clock()
            self._away[gateway.name] = gateway

    def sent(self, gateway: Gateway, update: gateway_pb2.RoutesUpdate) -> None:
        """An update is on its way to a gateway."""
        gateway.first_sent = gateway.first_sent or update.generation
        gateway.last_sent = update.generation
        gateway.held.sent(update)

    def applied(self, gateway: Gateway, generation: int, envoys: int) -> None:
        """Takes over what a gateway says; of a generation that was never given out it can say nothing."""
        gateway.envoys = envoys
        if generation > self._table.generation:
            return
        gateway.applied = max(gateway.applied, generation)
        gateway.held.applied(gateway.applied)
        if gateway.proven:
            self._unproven.discard(gateway)
        if gateway.node:
            self._table.node_applied(gateway.node, gateway.applied)
        for listener in self._applied_listeners:
            listener(lambda instance: not self._routes_to(gateway, instance))

    def on_applied(self, listener: Callable[[Callable[[str], bool]], None]) -> None:
        """`listener` is told whenever a gateway has applied newer routes, with a test of what it lacks."""
        self._applied_listeners.append(listener)

    async def look(self) -> None:
        """What time brings about: gateways are forgotten, and what nodes served for a while is over."""
        self._forget()
        now = self._clock()
        for node, since in tuple(self._nodes_away.items()):
            if since <= now - self._node_grace:
                del self._nodes_away[node]
                self._table.node_left(node)
        self._table.look(now, self._everywhere)

    # --- what they route to

    def unrouted(self, instance: str) -> Unrouted:
        """How far the gateways are with routing around an instance that left the routes.

        Those count that were sent routes to it; and those of which nothing has been heard yet, if they may
        have been, before the start or before they connected.
        """
        self._forget()
        holding = {self._owner[held] for held in self._holders.get(instance, ())}
        holding |= {gateway for gateway in self._unproven if self._may_know(gateway, instance)}
        lagging = [f"gateway {name}" for name in sorted({gateway.name for gateway in holding})]
        if self._clock() < self._settled_at and not self._table.came_since_start(instance):
            lagging.append(_NOT_BACK)
        return Unrouted(tuple(lagging))

    def _may_know(self, gateway: Gateway, instance: str) -> bool:
        """A gateway that has applied nothing yet may still have routes from before it connected.

        Any routes for a moment; one that says nothing for longer is held to its own services, so that a
        broken one holds up nobody else's instances. That of a node is from the beginning.
        """
        if self._table.with_endpoint(instance) > gateway.joined:
            return False
        young = not gateway.node and self._clock() < gateway.joined_at + self._settle
        return young or self._table.serves(gateway.audience, instance)

    def _routes_to(self, gateway: Gateway, instance: str) -> bool:
        held = gateway.held in self._holders.get(instance, ())
        return held and gateway.applied >= self._table.with_endpoint(instance)

    def _everywhere(self, service: str, generation: int) -> bool:
        """Whether a service's own gateway has this generation of its routes, wherever it runs."""
        own = next((each for each in self._table.audiences_of(service) if not each.node), None)
        if own is None:
            return True
        return own.name not in self._away and all(each.applied >= generation for each in self.of(own))

    # --- who is there

    def all_linked(self) -> Iterator[Gateway]:
        return chain.from_iterable(self._linked.values())

    def names(self) -> set[str]:
        """Of those that are connected, or were until lately."""
        return {*self._linked, *self._away}

    def of(self, audience: Audience) -> list[Gateway]:
        """The connections of an audience."""
        return self._of_audience.get(audience, [])

    def named(self, name: str) -> list[Gateway]:
        """The connections of a gateway."""
        return self._linked.get(name, [])

    def ports(self) -> dict[str, int]:
        """Where the Envoys of the gateways that are connected listen, as far as they say."""
        return {name: links[0].port for name, links in self._linked.items() if links[0].port}

    def serving(self, service: str) -> Iterator[Gateway]:
        """The connections whose gateways serve this service."""
        return (gateway for each in self._table.audiences_of(service) for gateway in self.of(each))

    def public_url(self, name: str = SHARED_GATEWAY) -> str | None:
        """Where clients reach a gateway, as an operator or itself has said; None before anybody has."""
        self._forget()
        if by_hand := self._table.public_url(name):
            return by_hand
        known: Iterable[Gateway] = self.named(name)
        if name in self._away:
            known = (*known, self._away[name])
        return next((gateway.public_url for gateway in known if gateway.public_url), None)

    def _forget(self) -> None:
        """Drops those that have been away for long; the first to go are the first in the row."""
        forgotten = self._clock() - self._forget_after
        while self._away:
            gateway = next(iter(self._away.values()))
            if gateway.away_since is None or gateway.away_since > forgotten:
                return
            del self._away[gateway.name]
            self._drop(gateway)

    def _drop(self, gateway: Gateway) -> None:
        gateway.held.forget()
        self._owner.pop(gateway.held, None)
        self._unproven.discard(gateway)


def _remove(rows: dict[K, list[Gateway]], key: K, gateway: Gateway) -> None:
    rows[key].remove(gateway)
    if not rows[key]:
        del rows[key]
