"""Requests that wait for an instance, first come first served. Pure but for what it holds."""

from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from heapq import nsmallest

from services.gateway.routes import Hold
from services.gateway.routing.waiting import UNKNOWN_LENGTH, too_many
from services.gateway.xds.bounds import BUFFER_BYTES


@dataclass(frozen=True)
class Place:
    """One request that waits. `came` is the time by its Envoy's clock, `since` that by the gateway's."""

    number: int
    service: str
    # The group at whose entry it came in; empty for the service's own.
    group: str
    came: float
    since: float
    bytes: int

    @property
    def turn(self) -> tuple[float, int]:
        """Who came before whom, whichever thread of which Envoy was the first to say so."""
        return self.came, self.number


@dataclass
class Line:
    """What is known of one service."""

    places: dict[int, Place] = field(default_factory=dict)
    bytes: int = 0
    released: int = 0
    refused: int = 0
    # How long the oldest of those that were let go last had waited, and an instance was known then.
    waited: float = 0.0
    routing: float = 0.0

    @property
    def since(self) -> float:
        """When the oldest of those that wait came, by the gateway's clock."""
        return min(each.since for each in self.places.values())


class Queue:
    """Takes in what the bounds of a service allow, and says who is the next to go."""

    def __init__(self) -> None:
        self._lines: dict[str, Line] = {}
        self._entries: Counter[tuple[str, str]] = Counter()
        self._number = 0

    @property
    def lines(self) -> dict[str, Line]:
        """What is known of each service of which a request ever waited."""
        return self._lines

    def take(self, service: str, group: str, hold: Hold, length: int, came: float, now: float) -> Place | str:
        """A place for a request with a body of `length`, or why there is none. Below 0 that is not known.

        Of a long body Envoy holds a buffer full, and has the client keep the rest: no more counts.
        """
        line = self._lines.setdefault(service, Line())
        held = min(UNKNOWN_LENGTH if length < 0 else length, BUFFER_BYTES)
        refusal = too_many(service, hold, len(line.places), line.bytes, held)
        if refusal:
            line.refused += 1
            return refusal
        self._number += 1
        place = Place(self._number, service, group, came, now, held)
        line.places[place.number] = place
        line.bytes += held
        self._entries[service, group] += 1
        return place

    def next(self, most: int, service: str, group: str) -> list[Place]:
        """The first ones of those that came in by the same entry."""
        line = self._lines.get(service, Line())
        alike = (each for each in line.places.values() if each.group == group)
        return nsmallest(most, alike, key=lambda each: each.turn)

    @property
    def entries(self) -> list[tuple[str, str]]:
        """The services for which requests wait, each with the group at whose entry they came in."""
        return list(self._entries)

    def release(self, places: Iterable[Place], now: float, known_since: float) -> None:
        """Lets these go; an instance for them has been known for some time."""
        for place in sorted(places, key=lambda each: each.turn, reverse=True):
            line = self._lines[place.service]
            line.released += 1
            line.waited, line.routing = now - place.since, now - max(known_since, place.since)
            self.leave(place)

    def refuse(self, place: Place) -> None:
        """Takes back a place that was given."""
        if self.leave(place):
            self._lines[place.service].refused += 1

    def forget(self, known: Container[str]) -> None:
        """Drops what is known of services that are no more, once nothing waits for them."""
        self._lines = {name: line for name, line in self._lines.items() if line.places or name in known}

    def leave(self, place: Place) -> bool:
        """Frees a place; whether it was taken. Safe to call again."""
        line = self._lines.get(place.service)
        if line is None or line.places.pop(place.number, None) is None:
            return False
        line.bytes -= place.bytes
        self._entries[place.service, place.group] -= 1
        if not self._entries[place.service, place.group]:
            del self._entries[place.service, place.group]
        return True
