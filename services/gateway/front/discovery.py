"""Where clients that connect directly reach a service, a group, or one member of a group. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from services.gateway.routes import DirectEndpoint, Group, Service

Item = dict[str, Any]


def endpoints(name: str, services: Mapping[str, Service], groups: Mapping[str, Group]) -> list[Item] | None:
    """The places of what `/api/predict/{name}` calls, each address once; None where nothing goes by the name.

    A place serves all of a group, so that a group's weights are kept wherever a client goes.
    """
    if name in services:
        return _items(name, services[name].direct)
    if name in groups:
        members = (services.get(each.service) for each in groups[name].members if each.weight)
        return _items(name, (place for member in members if member is not None for place in member.direct))
    group, _, member = name.partition(".")
    found = services.get(member)
    if found is not None and group and found.group == group:
        return _items(name, found.direct)
    return None


def _items(name: str, places: Iterable[DirectEndpoint]) -> list[Item]:
    weights: dict[tuple[str, int], int] = {}
    for place in places:
        at = place.address, place.port
        weights[at] = weights.get(at, 0) + max(1, place.weight)
    return [
        {"app": name, "ip": address, "port": port, "weight": weight}
        for (address, port), weight in sorted(weights.items())
    ]
