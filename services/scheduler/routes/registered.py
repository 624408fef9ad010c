"""Which services are written to which registries, by what their versions in force say."""

from libs.domain.records import Service
from services.scheduler.routes.in_force import facts_in_force
from services.scheduler.world import World


class Registered:
    """Found from both ends. A registry that a service names need not be known."""

    def __init__(self) -> None:
        self._services: dict[str, set[str]] = {}
        self._registries: dict[str, set[str]] = {}

    def at(self, registry: str) -> set[str]:
        """The services that name a registry."""
        return self._services.get(registry, set())

    def note(self, world: World, name: str, service: Service | None) -> None:
        """The service of this name is such a one now, or is gone."""
        after = set(facts_in_force(world, service).edge.registries) if service is not None else set()
        for registry in self._registries.pop(name, set()) - after:
            self._services[registry].discard(name)
            if not self._services[registry]:
                del self._services[registry]
        for registry in after:
            self._services.setdefault(registry, set()).add(name)
        if after:
            self._registries[name] = after
