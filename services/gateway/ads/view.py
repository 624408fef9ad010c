"""What one Envoy has and still needs: the delta protocol as a state machine without I/O."""

from collections.abc import Iterable
from itertools import count

from services.gateway.ads.kind import Kind
from services.gateway.ads.messages import Refusal, Request, Response
from services.gateway.ads.order import NO_ROUTES, Order, Wait
from services.gateway.ads.store import ResourceStore
from services.gateway.xds.resource import CLUSTER, ENDPOINTS, LISTENER, SCOPE, SECRET, TYPES, Key, Resource

# Bounds of one response after the first, so that a burst of changes takes effect as it is sent.
MOST_RESOURCES = 2_000
_EVERYTHING = (CLUSTER, LISTENER, SCOPE)


class EnvoyView:
    """One stream. Feed it what Envoy says and which keys changed; take from it what to send."""

    def __init__(self, store: ResourceStore) -> None:
        self._store = store
        self._kinds: dict[str, Kind] = {}
        self._order = Order(store, self._kinds)
        self._nonces = count(1)
        # Since which change this Envoy has not had the newest of a resource.
        self._behind: dict[Key, int] = {}

    def receive(self, request: Request) -> list[Refusal]:
        """Takes in one request; returns what Envoy refused for good."""
        kind = self._kinds.get(request.type_url)
        if kind is None:
            kind = self._open(request)
        self._resubscribe(request.type_url, kind, request)
        return self._answered(request.type_url, kind, request) if request.nonce else []

    def changed(self, keys: list[Key]) -> None:
        """Says which keys of the store differ from before."""
        for key in keys:
            kind = self._kinds.get(key.type_url)
            if kind is not None:
                self._mark(key, kind)

    def applied(self) -> int:
        """The newest change that this Envoy has in force with all before it; -1 while it is starting."""
        if self._is_starting():
            return -1
        return min(self._behind.values(), default=self._store.sequence + 1) - 1

    def has(self, keys: Iterable[Key]) -> bool:
        """Whether this Envoy has the newest of what there is under these keys, or refused it."""
        return not self._is_starting() and self._behind.keys().isdisjoint(keys)

    def responses(self) -> list[Response]:
        """Everything that may be sent now; calling it again gives only what became due since."""
        if not self._store.known:
            return []
        return [response for type_url in TYPES for response in self._responses_of(type_url)]

    def _is_starting(self) -> bool:
        needed = (*_EVERYTHING, ENDPOINTS) if self._store.of(ENDPOINTS) else _EVERYTHING
        if any(type_url not in self._kinds for type_url in needed):
            return True
        return any(self._kinds[type_url].first_answer_due for type_url in _EVERYTHING)

    def _open(self, request: Request) -> Kind:
        kind = self._kinds[request.type_url] = Kind(everything=request.type_url in _EVERYTHING)
        kind.acked.update(request.initial or {})
        if request.type_url in _EVERYTHING:
            for name in {**self._store.of(request.type_url), **kind.acked}:
                self._mark(Key(request.type_url, name), kind)
        return kind

    def _resubscribe(self, type_url: str, kind: Kind, request: Request) -> None:
        if kind.everything:
            return
        kind.names.difference_update(request.unsubscribe)
        for name in request.unsubscribe:
            kind.forget(name)
            self._behind.pop(Key(type_url, name), None)
        for name in request.subscribe:
            kind.names.add(name)
            if name not in (request.initial or {}):
                kind.acked.pop(name, None)
            self._mark(Key(type_url, name), kind)

    def _mark(self, key: Key, kind: Kind) -> None:
        if not kind.everything and key.name not in kind.names:
            return
        entry = self._store.get(key)
        version = entry.resource.version if entry else None
        if version == kind.has(key.name) and key.name not in kind.sent:
            kind.took(key.name, entry.resource if entry else None)
            kind.dirty.pop(key.name, None)
            self._behind.pop(key, None)
            return
        kind.dirty[key.name] = None
        self._behind.setdefault(key, self._since(key))

    def _since(self, key: Key) -> int:
        entry = self._store.get(key)
        return entry.since if entry else self._store.sequence

    def _answered(self, type_url: str, kind: Kind, request: Request) -> list[Refusal]:
        items = kind.on_the_way.pop(request.nonce, None)
        if items is None:
            return []
        versions = {name: each.version if each else None for name, each in items.items()}
        for name, version in versions.items():
            if kind.sent.get(name, ...) == version:
                del kind.sent[name]
        if request.error:
            return self._refused(type_url, kind, versions, request.error)
        for name, taken in items.items():
            kind.alone.discard(name)
            kind.refused.pop(name, None)
            kind.took(name, taken)
            self._settle(Key(type_url, name), kind, versions[name])
        return []

    def _refused(self, type_url: str, kind: Kind, items: dict[str, str | None], error: str) -> list[Refusal]:
        """One bad resource must not keep others back: a refused batch is sent again one by one."""
        if len(items) > 1:
            kind.alone.update(items)
            kind.dirty.update(dict.fromkeys(items))
            return []
        for name, version in items.items():
            kind.refused[name] = version
            kind.alone.discard(name)
            self._settle(Key(type_url, name), kind, version)
        return [Refusal(type_url, tuple(items), error)]

    def _settle(self, key: Key, kind: Kind, version: str | None) -> None:
        entry = self._store.get(key)
        if (entry.resource.version if entry else None) == version:
            if key.name not in kind.sent:
                self._behind.pop(key, None)
        elif key in self._behind:
            self._behind[key] = self._since(key)

    def _responses_of(self, type_url: str) -> list[Response]:
        kind = self._kinds.get(type_url)
        if kind is None:
            return []
        due, held = self._due(type_url, kind)
        together = [each for each in due if each[0] not in kind.alone]
        if kind.everything and kind.first_answer_due:
            # Whole or not at all: Envoy opens its listener on the first answer.
            if held:
                return []
            batches = [together]
        else:
            batches = [together[at : at + MOST_RESOURCES] for at in range(0, len(together), MOST_RESOURCES)]
        batches += [[each] for each in due if each[0] in kind.alone]
        kind.first_answer_due = kind.first_answer_due and not batches
        return [self._response(type_url, kind, batch) for batch in batches]

    def _due(self, type_url: str, kind: Kind) -> tuple[list[tuple[str, Resource | None]], bool]:
        due: list[tuple[str, Resource | None]] = []
        held, routes = False, self._order.routes_under_way() if type_url == CLUSTER else NO_ROUTES
        for name in list(kind.dirty):
            entry = self._store.get(Key(type_url, name))
            wanted = entry.resource if entry else None
            version = wanted.version if wanted else None
            if self._is_settled(type_url, kind, name, version):
                del kind.dirty[name]
                if name not in kind.sent:
                    self._behind.pop(Key(type_url, name), None)
            elif (wait := self._order.wait(type_url, name, wanted, routes)) is Wait.IN_VAIN:
                self._behind.pop(Key(type_url, name), None)
            elif wait is Wait.FOR_NOW:
                held = True
                self._behind.setdefault(Key(type_url, name), self._since(Key(type_url, name)))
            else:
                due.append((name, wanted))
        return due, held

    def _is_settled(self, type_url: str, kind: Kind, name: str, version: str | None) -> bool:
        if type_url in (ENDPOINTS, SECRET) and version is None:
            return True  # the cluster or listener that uses it is on the way out, and takes it along
        if name in kind.refused and kind.refused[name] == version and name not in kind.sent:
            return True
        return version == kind.has(name)

    def _response(self, type_url: str, kind: Kind, batch: list[tuple[str, Resource | None]]) -> Response:
        nonce = str(next(self._nonces))
        versions = {name: wanted.version if wanted else None for name, wanted in batch}
        kind.on_the_way[nonce] = dict(batch)
        kind.sent.update(versions)
        for name in versions:
            kind.dirty.pop(name, None)
        for name in versions:
            self._behind.setdefault(Key(type_url, name), self._since(Key(type_url, name)))
        if type_url == CLUSTER:
            self._offer_endpoints_again(versions)
        return Response(
            type_url,
            nonce,
            tuple(wanted for _, wanted in batch if wanted is not None),
            tuple(name for name, wanted in batch if wanted is None),
        )

    def _offer_endpoints_again(self, clusters: dict[str, str | None]) -> None:
        """A cluster that is changed warms up anew, and asks nobody for endpoints it has been told before."""
        endpoints = self._kinds.get(ENDPOINTS)
        if endpoints is None:
            return
        for name, version in clusters.items():
            if version is not None and endpoints.acked.pop(name, None) is not None:
                self._mark(Key(ENDPOINTS, name), endpoints)
