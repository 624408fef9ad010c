"""To which instances a gateway may route, by what it was sent and what it says it has applied."""

from collections.abc import Iterable
from itertools import takewhile

from easel.gateway.v1 import gateway_pb2

# Of what was leaving when a connection broke off: larger than every generation.
_UNTIL_SENT = 1 << 64


class Held:
    """What one connection's Envoys may route to, copies of requests included.

    An instance is held from the update that has it until the first one without it is applied.
    """

    def __init__(self, holders: "dict[str, set[Held]]") -> None:
        """`holders` is kept up to date: who holds an instance."""
        self._holders = holders
        self._sent: dict[str, frozenset[str]] = {}
        # In which services' routes an instance is, of those that were sent last.
        self._carried: dict[str, set[str]] = {}
        # The first update without it, in the order of the updates.
        self._leaving: dict[str, int] = {}
        self._inherits = False

    def sent(self, update: gateway_pb2.RoutesUpdate) -> None:
        """Takes note of an update that is on its way."""
        if self._inherits:
            self._inherits = False
            self._leaving = dict.fromkeys(self._leaving, update.generation)
        routes = {route.name: instances_in(route) for route in update.services}
        gone = self._sent.keys() - routes.keys() if update.full else update.removed
        for name in tuple(gone):
            self._differ(name, frozenset(), update.generation)
        for name, instances in routes.items():
            self._differ(name, instances, update.generation)

    def applied(self, generation: int) -> None:
        """Every Envoy has applied what was sent up to this generation."""
        for instance in list(takewhile(lambda i: self._leaving[i] <= generation, self._leaving)):
            del self._leaving[instance]
            self._let_go(instance)

    def inherit(self, before: "Held") -> None:
        """Takes over what an earlier connection of the same gateway held: its Envoys do still.

        What is not in the first update to be sent is let go once that is applied.
        """
        self._sent = dict(before._sent)
        self._carried = {instance: set(names) for instance, names in before._carried.items()}
        self._leaving = dict.fromkeys(before._leaving, _UNTIL_SENT)
        self._inherits = True
        for instance in (*self._carried, *self._leaving):
            self._holders.setdefault(instance, set()).add(self)

    def forget(self) -> None:
        """Holds nothing any more."""
        for instance in (*self._carried, *self._leaving):
            self._let_go(instance)
        self._sent, self._carried, self._leaving = {}, {}, {}

    def _differ(self, service: str, instances: frozenset[str], generation: int) -> None:
        before = self._sent.pop(service, frozenset())
        if instances:
            self._sent[service] = instances
        for instance in instances - before:
            self._carried.setdefault(instance, set()).add(service)
            self._leaving.pop(instance, None)
            self._holders.setdefault(instance, set()).add(self)
        for instance in before - instances:
            carriers = self._carried[instance]
            carriers.discard(service)
            if not carriers:
                del self._carried[instance]
                self._leaving[instance] = generation

    def _let_go(self, instance: str) -> None:
        holders = self._holders.get(instance)
        if holders is not None:
            holders.discard(self)
            if not holders:
                del self._holders[instance]


def instances_in(route: gateway_pb2.ServiceRoute) -> frozenset[str]:
    """All that a gateway with this route may send requests to, or copies of requests."""
    parts: Iterable[gateway_pb2.Backend | gateway_pb2.Mirror] = (*route.backends, *route.mirrors)
    return frozenset(endpoint.instance for part in parts for endpoint in part.endpoints)
