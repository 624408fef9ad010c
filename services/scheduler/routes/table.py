"""What gateways must serve, derived from the picture; each change of it is a new generation."""

import contextlib
import json
import logging
from collections.abc import Callable, Iterable
from itertools import takewhile

from easel.gateway.v1 import gateway_pb2
from libs.db.changes import Changes
from libs.domain.errors import EaselError
from libs.domain.records import Instance, Service, ServiceVersion
from services.scheduler.facts import Facts, facts_of
from services.scheduler.world import World

log = logging.getLogger(__name__)

_PLAIN = json.dumps({"metadata": {"name": "any"}, "containers": [{"image": "any"}]})
# Removed services that are remembered for gateways that are about to hear of it.
_REMOVALS = 10_000


def route_of(world: World, service: Service) -> gateway_pb2.ServiceRoute:
    """One service as gateways need it: ready instances by version, in a fixed order."""
    facts = _facts_in_force(world, service)
    route = gateway_pb2.ServiceRoute(
        name=service.name,
        tokens=[service.token],
        keepalive_ms=round(facts.keepalive.total_seconds() * 1000),
        keep_path=facts.keep_path,
        grpc=facts.grpc,
        webservice=facts.webservice,
    )
    ready = sorted((i for i in world.instances_of(service.name) if i.routed), key=lambda i: (i.version, i.id))
    for version in sorted({i.version for i in ready}):
        backend = route.backends.add(version=version)
        for instance in (i for i in ready if i.version == version):
            backend.endpoints.add(instance=instance.id, address=instance.address, port=instance.port)
    return route


def _facts_in_force(world: World, service: Service) -> Facts:
    """What the version in force says. One that cannot be read any more costs no instance its traffic.

    Then the newest version that can be read stands in for it, and the defaults when there is none.
    """
    versions = world.versions.get(service.name, {})
    for number in (service.version, *sorted(versions, reverse=True)):
        with contextlib.suppress(EaselError):
            return facts_of(world.version(service.name, number).spec_json)
    log.warning("no version of a service can be read", extra={"service": service.name})
    return facts_of(_PLAIN)


class RoutesTable:
    """Generations grow without end, also over restarts: `base` must be larger than any given out before."""

    def __init__(self, world: World, base: int) -> None:
        self._world = world
        self.generation = base
        self._base = base
        self._routes = {name: route_of(world, service) for name, service in world.services.items()}
        # Both in the order of their generations, so that the newest are found without looking at the rest.
        self._changed_at = dict.fromkeys(self._routes, base)
        self._removed_at: dict[str, int] = {}
        # Removals up to this generation are no longer remembered.
        self._removals_forgotten = 0
        self._endpoints_left_at: dict[str, int] = {}
        self._endpoints_came_at: dict[str, int] = {}
        self._listeners: list[Callable[[], None]] = []

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    def heard(self, changes: Changes) -> None:
        """A ledger listener: derives anew the routes of the services that changed."""
        before = self.generation
        for name in _services_in((*changes.put, *changes.delete)):
            self._derive(name)
        for record in changes.delete:
            if isinstance(record, Instance):
                self._endpoints_left_at.pop(record.id, None)
                self._endpoints_came_at.pop(record.id, None)
        if self.generation != before:
            for listener in tuple(self._listeners):
                listener()

    def full(self) -> gateway_pb2.RoutesUpdate:
        """Everything, as one update."""
        return gateway_pb2.RoutesUpdate(generation=self.generation, full=True, services=self._routes.values())

    def since(self, generation: int) -> gateway_pb2.RoutesUpdate:
        """What changed after `generation`; several changes of one service are one entry.

        Everything, when that is too long ago to tell what was removed since.
        """
        if generation < self._removals_forgotten:
            return self.full()
        return gateway_pb2.RoutesUpdate(
            generation=self.generation,
            services=[self._routes[name] for name in _newer(self._changed_at, generation)],
            removed=_newer(self._removed_at, generation),
        )

    def without(self, instance: str) -> int:
        """The first generation that does not route to this instance."""
        return self._endpoints_left_at.get(instance, self._base)

    def came_since_start(self, instance: str) -> bool:
        """Whether no gateway can know of this instance from before the start."""
        return instance in self._endpoints_came_at

    def with_endpoint(self, instance: str) -> int:
        """The first generation that routes to this instance, as far as it is known since the start."""
        return self._endpoints_came_at.get(instance, self._base)

    def _derive(self, name: str) -> None:
        service = self._world.services.get(name)
        old = self._routes.get(name)
        if service is None:
            if old is not None:
                self._step(old, None)
                del self._routes[name], self._changed_at[name]
                self._remove(name)
            return
        new = route_of(self._world, service)
        if new != old:
            self._step(old, new)
            self._routes[name] = new
            self._changed_at.pop(name, None)
            self._changed_at[name] = self.generation
            self._removed_at.pop(name, None)

    def _remove(self, name: str) -> None:
        self._removed_at[name] = self.generation
        if len(self._removed_at) > _REMOVALS:
            oldest = next(iter(self._removed_at))
            self._removals_forgotten = self._removed_at.pop(oldest)

    def _step(self, old: gateway_pb2.ServiceRoute | None, new: gateway_pb2.ServiceRoute | None) -> None:
        self.generation += 1
        for instance in _endpoints(old) - _endpoints(new):
            self._endpoints_left_at[instance] = self.generation
        for instance in _endpoints(new) - _endpoints(old):
            self._endpoints_came_at[instance] = self.generation


def _newer(at: dict[str, int], generation: int) -> list[str]:
    """The names at the end of `at` whose generation is newer than `generation`."""
    return list(takewhile(lambda name: at[name] > generation, reversed(at)))


def _endpoints(route: gateway_pb2.ServiceRoute | None) -> set[str]:
    if route is None:
        return set()
    return {endpoint.instance for backend in route.backends for endpoint in backend.endpoints}


def _services_in(records: Iterable[object]) -> set[str]:
    names = set()
    for record in records:
        match record:
            case Service():
                names.add(record.name)
            case Instance() | ServiceVersion():
                names.add(record.service)
    return names
