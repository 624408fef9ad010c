"""Who follows the facts, and what each has yet to be told.

A commit only marks names; what is to be said of them is worked out when it is sent, from the newest picture.
So a commit costs what it touches, and a slow reader gets the newest state once, however often it changed.
"""

import asyncio
from collections.abc import Iterable, Iterator, MutableSequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from easel.facts.v1 import facts_pb2
from libs.db.changes import Changes, Record
from libs.domain.records import (
    GpuFence,
    Instance,
    Node,
    ResourceGroup,
    Rollout,
    Service,
    ServiceVersion,
    Token,
)
from libs.domain.scaling import Autoscaler, Cronscaler
from libs.domain.traffic import SHARED_GATEWAY
from libs.domain.traffic import Gateway as GatewayRecord
from services.scheduler.facts_feed.told import gateway_told, join_tokens_told, node_told, service_told
from services.scheduler.ledger import Ledger
from services.scheduler.routes.gateways import Gateways
from services.scheduler.scaling.waiting import WaitingRequests

T = TypeVar("T")


@dataclass(eq=False)
class Follower:
    """What one reader has yet to be told, and what it was told last."""

    component: str
    services: set[str] = field(default_factory=set)
    nodes: set[str] = field(default_factory=set)
    gateways: set[str] = field(default_factory=set)
    tokens: bool = True
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    known_services: dict[str, facts_pb2.ServiceFacts] = field(default_factory=dict)
    known_nodes: dict[str, facts_pb2.NodeFacts] = field(default_factory=dict)
    known_gateways: dict[str, facts_pb2.GatewayFacts] = field(default_factory=dict)
    known_tokens: facts_pb2.JoinTokens | None = None


class FactsFeed:
    """Marks what changed for those who follow, and says it in their words."""

    def __init__(self, ledger: Ledger, gateways: Gateways, waiting: WaitingRequests) -> None:
        self._world, self._gateways, self._waiting = ledger.world, gateways, waiting
        self._followers: set[Follower] = set()
        ledger.subscribe(self._heard)
        waiting.on_changed(self._waits)

    @contextmanager
    def following(self, component: str = "") -> Iterator[Follower]:
        """One more that is told of changes, beginning with everything there is."""
        world = self._world
        follower = Follower(component, set(world.services), set(world.nodes), self._gateway_names())
        self._followers.add(follower)
        try:
            yield follower
        finally:
            self._followers.discard(follower)

    def followed_by(self, component: str) -> bool:
        """Whether one that calls itself so is told of changes now."""
        return any(follower.component == component for follower in self._followers)

    def _heard(self, changes: Changes) -> None:
        if not self._followers:
            return
        for record in (*changes.put, *changes.delete):
            self._mark(record)

    def _waits(self, services: Iterable[str]) -> None:
        """Other numbers of requests wait for these services."""
        names = set(services)
        for follower in self._followers if names else ():
            follower.services |= names
            follower.changed.set()

    async def look(self) -> None:
        """Gateways say nothing to the ledger, so it is looked at them now and then."""
        for follower in self._followers:
            follower.gateways |= self._gateway_names() | follower.known_gateways.keys()
            follower.changed.set()

    def full(self, follower: Follower) -> facts_pb2.WatchResponse:
        """Everything, as the first message of a reader."""
        message = self.since(follower)
        message.full = True
        return message

    def since(self, follower: Follower) -> facts_pb2.WatchResponse:
        """What changed for it since it was told last; what came to be as it was is left out."""
        services, follower.services = follower.services, set()
        nodes, follower.nodes = follower.nodes, set()
        gateways, follower.gateways = follower.gateways, set()
        message = facts_pb2.WatchResponse()
        for name in sorted(services):
            told = self._service(name)
            if told is None:
                _gone(name, follower.known_services, message.removed_services)
            elif follower.known_services.get(name) != told:
                follower.known_services[name] = told
                message.services.append(told)
        for name in sorted(nodes):
            node = self._world.nodes.get(name)
            if node is None:
                _gone(name, follower.known_nodes, message.removed_nodes)
            elif follower.known_nodes.get(name) != (seen := node_told(self._world, node)):
                follower.known_nodes[name] = seen
                message.nodes.append(seen)
        present = self._gateway_names() if gateways else frozenset()
        for name in sorted(gateways):
            if name not in present:
                _gone(name, follower.known_gateways, message.removed_gateways)
            elif follower.known_gateways.get(name) != (stands := self._gateway(name)):
                follower.known_gateways[name] = stands
                message.gateways.append(stands)
        self._say_tokens(follower, message)
        return message

    def _say_tokens(self, follower: Follower, message: facts_pb2.WatchResponse) -> None:
        marked, follower.tokens = follower.tokens, False
        if marked and follower.known_tokens != (told := join_tokens_told(self._world)):
            follower.known_tokens = told
            message.join_tokens.CopyFrom(told)

    def _service(self, name: str) -> facts_pb2.ServiceFacts | None:
        service = self._world.services.get(name)
        return service_told(self._world, service, self._waiting.of(name)) if service is not None else None

    def _gateway(self, name: str) -> facts_pb2.GatewayFacts:
        return gateway_told(name, self._world.gateways.get(name), self._gateways.named(name))

    def _gateway_names(self) -> set[str]:
        """The shared one, those with a record, and those that are or lately were connected."""
        return {SHARED_GATEWAY, *self._world.gateways, *self._gateways.names()}

    def _mark(self, record: Record) -> None:
        for follower in self._followers:
            match record:
                case Service():
                    follower.services.add(record.name)
                case ServiceVersion() | Rollout() | Autoscaler() | Cronscaler():
                    follower.services.add(record.service)
                case Instance():
                    follower.services.add(record.service)
                    if record.node:
                        follower.nodes.add(record.node)
                case Node():
                    follower.nodes.add(record.name)
                case GpuFence():
                    follower.nodes.add(record.node)
                case ResourceGroup():
                    # Rare, and a node's kind is that of its group.
                    follower.nodes |= self._world.nodes.keys()
                case GatewayRecord():
                    follower.gateways.add(record.name)
                case Token():
                    follower.tokens = True
                case _:
                    continue
            follower.changed.set()


def _gone(name: str, known: dict[str, T], removed: MutableSequence[str]) -> None:
    if known.pop(name, None) is not None:
        removed.append(name)
