"""What has to wait for what on one Envoy's stream: order is kept a resource at a time.

A scope, as a listener of TCP, waits until this Envoy has acknowledged the clusters it names and their
endpoints; a cluster is taken away only when no change of scopes or listeners is under way, and not while a
scope that is in force names it, because this Envoy refused the next one or what that waits for. So a request
never meets a route without its cluster, and one service never waits for another.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from services.gateway.ads.kind import Kind
from services.gateway.ads.store import ResourceStore
from services.gateway.xds.clusters import service_of
from services.gateway.xds.resource import CLUSTER, ENDPOINTS, LISTENER, SCOPE, Key, Resource

# What names clusters.
_LEADING = (LISTENER, SCOPE)


class Wait(Enum):
    """Whether a resource that is due is kept back; in vain until the feed changes what it waits for."""

    NO = auto()
    FOR_NOW = auto()
    IN_VAIN = auto()


@dataclass(frozen=True)
class Routes:
    """Whether a change of scopes or listeners is under way, and what those name that cannot be changed.

    After a new connection these are known by their services alone.
    """

    moving: bool = False
    clusters: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()

    def keep(self, cluster: str) -> bool:
        """Whether requests may still be led to this cluster however long one waits."""
        return cluster in self.clusters or service_of(cluster) in self.services


NO_ROUTES = Routes()


class Order:
    """Reads what the stream has of each kind, and what there should be; changes neither."""

    def __init__(self, store: ResourceStore, kinds: Mapping[str, Kind]) -> None:
        self._store, self._kinds = store, kinds

    def wait(self, type_url: str, name: str, wanted: Resource | None, routes: Routes) -> Wait:
        """Whether a change to `wanted`, None for its end, may be sent."""
        if type_url in _LEADING and wanted is not None and not all(map(self._in_force, wanted.needs)):
            return Wait.IN_VAIN if self._waits_in_vain(wanted) else Wait.FOR_NOW
        if wanted is not None and not self._may_follow(type_url, wanted):
            return Wait.FOR_NOW
        if type_url == CLUSTER and wanted is None:
            if routes.moving:
                return Wait.FOR_NOW
            return Wait.IN_VAIN if routes.keep(name) else Wait.NO
        return Wait.NO

    def _may_follow(self, type_url: str, wanted: Resource) -> bool:
        """Whether this Envoy has what a change comes after; what it has nothing of comes at once."""
        if wanted.key.name not in self._kinds[type_url].acked:
            return True
        return all(map(self._is_done, wanted.after))

    def _is_done(self, key: Key) -> bool:
        """Whether no newer one will be in force under a key, unless the feed changes."""
        kind, entry = self._kinds.get(key.type_url), self._store.get(key)
        if kind is None or entry is None or kind.acked.get(key.name) == entry.resource.version:
            return True
        return self._is_refused(key) or self._waits_in_vain(entry.resource)

    def routes_under_way(self) -> Routes:
        """What a cluster must not be taken away from."""
        moving, clusters, services = False, set[str](), set[str]()
        for type_url in _LEADING:
            kind = self._kinds.get(type_url)
            if kind is None:
                continue
            moving = moving or bool(kind.on_the_way)
            for name in {**kind.dirty, **kind.refused}:
                entry = self._store.get(Key(type_url, name))
                if name in kind.dirty and not (entry and self._waits_in_vain(entry.resource)):
                    moving = True
                elif name in kind.leads_to:
                    clusters.update(kind.leads_to[name])
                elif name in kind.acked and entry is not None:
                    services |= {service_of(need) for need in entry.resource.needs}
        return Routes(moving, frozenset(clusters), frozenset(services))

    def _in_force(self, cluster: str) -> bool:
        """A cluster that Envoy resolves by itself has no endpoints in the store, and waits for none."""
        clusters, endpoints = self._kinds.get(CLUSTER), self._kinds.get(ENDPOINTS)
        if clusters is None or cluster not in clusters.acked:
            return False
        if self._store.get(Key(ENDPOINTS, cluster)) is None:
            return True
        return endpoints is not None and cluster in endpoints.acked

    def _waits_in_vain(self, wanted: Resource) -> bool:
        """Whether Envoy refused what this resource needs; it then holds no acknowledgement back."""
        return any(
            self._is_refused(Key(each, need)) for need in wanted.needs for each in (CLUSTER, ENDPOINTS)
        )

    def _is_refused(self, key: Key) -> bool:
        kind, entry = self._kinds.get(key.type_url), self._store.get(key)
        return kind is not None and entry is not None and kind.refused.get(key.name) == entry.resource.version
