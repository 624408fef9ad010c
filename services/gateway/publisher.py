"""From the routes feed to the Envoys: what is known, what that means for Envoy, and how far it has come."""

import asyncio
import logging
from collections.abc import Callable

from services.gateway.ads.messages import Refusal
from services.gateway.ads.servicer import Envoys
from services.gateway.ads.store import ResourceStore
from services.gateway.routes import Service, Update, differing, gone
from services.gateway.xds.build import service_resources
from services.gateway.xds.resource import Key, Resource

log = logging.getLogger(__name__)

# Services built between two turns of the event loop.
_SLICE = 200
_LISTENER_OWNER = "/"


class Publisher:
    """Holds the services and turns each update into the resources that differ. Updates come one at a time."""

    def __init__(self, store: ResourceStore, listener: Resource, domains: tuple[str, ...]) -> None:
        self._store, self._listener, self._domains = store, listener, domains
        self.services: dict[str, Service] = {}
        self.generation = 0
        # The change of the store that completed each generation not yet reported.
        self._completed: list[tuple[int, int]] = []
        self._reported: int | None = None
        self.envoys = Envoys(store, self._progressed, self._on_refusal)
        self.on_applied: Callable[[int, int], None] = lambda generation, envoys: None
        self.on_refused: Callable[[int, Refusal], None] = lambda generation, refusal: None
        self.saved = self._published = 0
        self.changed = asyncio.Event()

    async def publish(self, update: Update) -> None:
        """Puts an update in force: the Envoys are told as soon as it is built."""
        sequence = self._store.begin()
        keys = self._store.replace(_LISTENER_OWNER, [self._listener])
        for name in gone(update, self.services):
            self.services.pop(name, None)
            keys += self._store.replace(name, [])
        await self._take(differing(update, self.services), keys)
        self.generation, self._published = update.generation, sequence
        if update.full:
            self._completed, self._reported = [], None
        self._completed.append((update.generation, sequence))
        self.changed.set()
        self._progressed()

    async def _take(self, services: list[Service], keys: list[Key]) -> None:
        for start in range(0, len(services), _SLICE):
            for service in services[start : start + _SLICE]:
                self.services[service.name] = service
                keys += self._store.replace(service.name, service_resources(service, self._domains))
            if start + _SLICE < len(services):
                self.envoys.changed(keys)
                keys = []
                await asyncio.sleep(0)
        self._store.known = True
        self.envoys.changed(keys)

    def was_saved(self, sequence: int) -> None:
        """Says that the state up to this change is on disk."""
        self.saved = max(self.saved, sequence)
        self._progressed()

    @property
    def sequence(self) -> int:
        """The number of the newest change that is in `services` as a whole."""
        return self._published

    def _progressed(self) -> None:
        """A generation is applied when every Envoy has it, and a restart of the gateway would have it too."""
        done = min(self.envoys.applied(), self.saved)
        newest = None
        while self._completed and self._completed[0][1] <= done:
            newest = self._completed.pop(0)[0]
        if newest is not None and newest != self._reported:
            self._reported = newest
            self.on_applied(newest, len(self.envoys))

    def _on_refusal(self, refusal: Refusal) -> None:
        log.error(
            "an Envoy refused a resource; the last good state stays in force",
            extra={"type": refusal.type_url, "resources": refusal.names, "why": refusal.message},
        )
        self.on_refused(self.generation, refusal)
