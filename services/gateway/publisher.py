"""From the routes feed to the Envoys: what is known, what that means for Envoy, and how far it has come."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from services.gateway.ads.messages import Refusal
from services.gateway.ads.servicer import Envoys
from services.gateway.ads.store import ResourceStore
from services.gateway.known import Known
from services.gateway.redaction import without_secrets
from services.gateway.routes import EdgeSettings, Group, HostedGateway, Service, Update
from services.gateway.routing.arrival import OPEN, Arrival
from services.gateway.routing.explain import World
from services.gateway.routing.sessions import periods
from services.gateway.xds.build import group_resources, service_resources
from services.gateway.xds.clusters import versions_of
from services.gateway.xds.edge import NO_REACH, Reach
from services.gateway.xds.resource import Key, Resource

log = logging.getLogger(__name__)

# Services and groups built between two turns of the event loop.
_SLICE = 200
# Owners of resources beside services, which own theirs by name.
_EDGE = "/"
_GROUP = "/group/"


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Surroundings:
    """What the settings of a gateway come to, whichever services there are."""

    # Listeners, and what these need.
    resources: tuple[Resource, ...]
    # Under which each service has a host name.
    domains: tuple[str, ...]
    # What else of the settings the resources of services show.
    reach: Reach = NO_REACH
    # What the listeners ask of every request.
    arrival: Arrival = OPEN


class Publisher:
    """Holds what is known; each update becomes the resources that differ. Updates are taken one at a time."""

    def __init__(
        self,
        store: ResourceStore,
        surroundings: Callable[[EdgeSettings], Surroundings],
        node: str = "",
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._store, self._surroundings_of, self._node = store, surroundings, node
        self._clock, self._periods = clock, periods(clock())
        self._surroundings = surroundings(EdgeSettings())
        self._known = Known()
        self.generation = 0
        # The change of the store that completed each generation not yet reported.
        self._completed: list[tuple[int, int]] = []
        self._reported: int | None = None
        self.envoys = Envoys(store, self._progressed, self._on_refusal)
        self.on_applied: Callable[[int, int], None] = lambda generation, envoys: None
        self.on_refused: Callable[[int, Refusal], None] = lambda generation, refusal: None
        self.on_progress: Callable[[], None] = lambda: None
        self.saved = self._published = 0
        self.changed = asyncio.Event()
        self._one_at_a_time = asyncio.Lock()

    @property
    def services(self) -> dict[str, Service]:
        """What is known of each service, by name."""
        return self._known.services

    @property
    def groups(self) -> dict[str, Group]:
        """What is known of each group, by name."""
        return self._known.groups

    @property
    def settings(self) -> EdgeSettings:
        """What an operator set for this gateway."""
        return self._known.settings

    @property
    def hosted(self) -> tuple[HostedGateway, ...]:
        """The further gateways whose Envoys this process is to run."""
        return self._known.hosted

    @property
    def world(self) -> World:
        """All that decides where a request goes."""
        return World(self.services, self.groups, self.domains, self._periods, self._surroundings.arrival)

    def in_force(self, service: str, group: str = "") -> bool:
        """Whether every Envoy has all that is known of a service, and of a group where one is named."""
        owned = self._store.owned
        return self.envoys.have(owned(service) | (owned(_GROUP + group) if group else frozenset()))

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains under which each service has a host name."""
        return self._surroundings.domains

    async def publish(self, update: Update) -> None:
        """Puts an update in force: the Envoys are told as soon as it is built."""
        async with self._one_at_a_time:
            await self._publish(update)

    async def refresh(self) -> None:
        """Has everything computed again that no update brings, such as a certificate or what opens pages."""
        async with self._one_at_a_time:
            if self._store.known:
                await self._publish(Update(self.generation, full=False))

    def is_out_of_date(self) -> bool:
        """Whether time alone has made something different of what is known."""
        if self._periods == periods(self._clock()):
            return False
        return any(each.webservice for each in self.services.values())

    async def _publish(self, update: Update) -> None:
        sequence = self._store.begin()
        touched = self._known.take(update)
        before = self._surroundings
        self._surroundings = self._surroundings_of(self._known.settings)
        if (self._surroundings.domains, self._surroundings.reach) != (before.domains, before.reach):
            touched = self._known.everything(touched)
        if self._periods != periods(self._clock()):
            self._periods = periods(self._clock())
            touched = self._known.pages(touched)
        keys = self._store.replace(_EDGE, self._surroundings.resources)
        for name in touched.gone:
            keys += self._store.replace(name, [])
        for name in touched.gone_groups:
            keys += self._store.replace(_GROUP + name, [])
        # A route of a group waits in each Envoy for the clusters of its members, so it may be built first,
        # and a cluster that goes away waits for such routes.
        work = [partial(self._rebuild_group, name) for name in touched.groups]
        work += [partial(self._rebuild_service, name) for name in touched.services]
        await self._rebuild(work, keys)
        self.generation, self._published = update.generation, sequence
        if update.full:
            self._completed, self._reported = [], None
        self._completed.append((update.generation, sequence))
        self.changed.set()
        self._progressed()

    async def _rebuild(self, work: list[partial[list[Key]]], keys: list[Key]) -> None:
        for start in range(0, len(work), _SLICE):
            for each in work[start : start + _SLICE]:
                keys += each()
            if start + _SLICE < len(work):
                self.envoys.changed(keys)
                keys = []
                await asyncio.sleep(0)
        self._store.known = True
        self.envoys.changed(keys)

    def _rebuild_group(self, name: str) -> list[Key]:
        built = group_resources(
            self._known.groups[name], self._known.services, self.domains, self._surroundings.reach
        )
        return self._store.replace(_GROUP + name, built)

    def _rebuild_service(self, name: str) -> list[Key]:
        service = self._known.services[name]
        group = self._known.groups.get(service.group)
        served = versions_of(name, self._store.owned(name))
        built = service_resources(
            service, self.domains, group, self._node, self._periods, self._surroundings.reach, served
        )
        return self._store.replace(name, built)

    def was_saved(self, sequence: int) -> None:
        """Says that the state up to this change is on disk."""
        self.saved = max(self.saved, sequence)
        self._progressed()

    @property
    def sequence(self) -> int:
        """The number of the newest change that is in force as a whole."""
        return self._published

    def _progressed(self) -> None:
        """A generation is applied when every Envoy has it, and a restart of the gateway would have it too."""
        self.on_progress()
        done = min(self.envoys.applied(), self.saved)
        newest = None
        while self._completed and self._completed[0][1] <= done:
            newest = self._completed.pop(0)[0]
        if newest is not None and newest != self._reported:
            self._reported = newest
            self.on_applied(newest, len(self.envoys))

    def _on_refusal(self, refusal: Refusal) -> None:
        token = self._surroundings.reach.token
        message = without_secrets(refusal.message, self.services, self.groups, self.settings, token)
        log.error(
            "an Envoy refused a resource; the last good state stays in force",
            extra={"type": refusal.type_url, "resources": refusal.names, "why": message},
        )
        self.on_refused(self.generation, replace(refusal, message=message))


def unchanging(
    resources: Iterable[Resource], domains: tuple[str, ...]
) -> Callable[[EdgeSettings], Surroundings]:
    """Surroundings that no setting changes."""
    always = Surroundings(tuple(resources), domains)
    return lambda settings: always
