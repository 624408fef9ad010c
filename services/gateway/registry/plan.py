"""Which entries belong into which registry, and what must be done to get there. Pure."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from services.gateway.registry.port import Entry, Place, Target
from services.gateway.routes import DirectEndpoint, Service

Entries = Mapping[Place, Entry]


def wanted(services: Iterable[Service], own: Collection[tuple[str, int]]) -> dict[Target, dict[Place, Entry]]:
    """The entries that a gateway at the addresses `own` answers for.

    Each gateway writes its own addresses only, so that those of a gateway that died expire. Where two
    services go by one name, a place that both have is one entry, with the weight of both.
    """
    found: dict[Target, dict[Place, Entry]] = {}
    for service in services:
        if not service.registrations:
            continue
        here = [each for each in service.direct if (each.address, each.port) in own]
        for registration in service.registrations:
            target = Target(
                kind=registration.kind,
                url=registration.url,
                namespace=registration.namespace,
                group=registration.group,
                user=registration.user,
                password=registration.password,
            )
            entries = found.setdefault(target, {})
            for endpoint in here:
                _add(entries, registration.service_name or service.name, endpoint, service.name)
    return found


def _add(entries: dict[Place, Entry], name: str, endpoint: DirectEndpoint, service: str) -> None:
    place = Place(name, endpoint.address, endpoint.port)
    weight = max(1, endpoint.weight)
    other = entries.get(place)
    if other is not None:
        weight, service = weight + other.weight, min(service, other.service)
    entries[place] = Entry(place, weight, service)


@dataclass(frozen=True)
class Steps:
    """What to do in one registry."""

    remove: tuple[Entry, ...] = ()
    register: tuple[Entry, ...] = ()
    renew: tuple[Entry, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.remove or self.register or self.renew)


def steps(entries: Entries, held: Entries, due: Collection[Place]) -> Steps:
    """From what is written (`held`) to what should be; `due` are the places that it is time to renew."""
    return Steps(
        remove=tuple(entry for place, entry in held.items() if place not in entries),
        register=tuple(entry for place, entry in entries.items() if held.get(place) != entry),
        renew=tuple(entry for place, entry in entries.items() if held.get(place) == entry and place in due),
    )
