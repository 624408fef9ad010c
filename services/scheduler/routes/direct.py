"""At which gateways of nodes clients that connect directly may be sent to which services."""

from collections.abc import Callable

from services.scheduler.routes.address import Address
from services.scheduler.routes.journal import Audience


class DirectPlaces:
    """The gateway of a node is a place for a service once all its Envoys have the service's routes.

    Until then the service's own gateway is, so that no client is sent to where it would be refused.
    """

    def __init__(self, audience_of: Callable[[str], Audience | None]) -> None:
        self._audience_of = audience_of
        self._addresses: dict[str, Address] = {}
        self._served: dict[str, set[str]] = {}

    def at(self, node: str, service: str) -> Address | None:
        """Where a service is reached on a node; None where its own gateway must do."""
        return self._addresses.get(node) if service in self._served.get(node, ()) else None

    def joined(self, node: str, address: Address | None) -> set[str]:
        """The gateway of a node says where it is reached; the services that are reached elsewhere now."""
        if address is None or self._addresses.get(node) == address:
            return set()
        self._addresses[node] = address
        return set(self._served.setdefault(node, set()))

    def left(self, node: str) -> set[str]:
        """The node has no gateway any more; the services that are reached elsewhere now."""
        self._addresses.pop(node, None)
        return self._served.pop(node, set())

    def applied(self, node: str, generation: int) -> set[str]:
        """All Envoys of a node have this generation; the services that they are found to serve by that."""
        audience, served = self._audience_of(node), self._served.get(node)
        if audience is None or served is None:
            return set()
        served &= audience.direct
        found = {
            name
            for name in audience.direct - served
            if audience.services.changed_at(name, generation + 1) <= generation
        }
        served |= found
        return found

    def over(self, node: str) -> None:
        """Some services are not served on a node any more."""
        audience = self._audience_of(node)
        if audience is not None and node in self._served:
            self._served[node] &= audience.direct
