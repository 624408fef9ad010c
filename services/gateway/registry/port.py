"""What a registry must be able to do: hold the places of services for clients that look them up there."""

from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, order=True)
class Target:
    """One registry, and the part of it that is written to."""

    kind: str
    url: str
    namespace: str = ""
    group: str = ""
    user: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, order=True)
class Place:
    """An address under which a name is to be found. What a registry knows it by."""

    name: str
    address: str
    port: int


@dataclass(frozen=True)
class Entry:
    """What a registry is to say of a place. `service` is the service behind the name."""

    place: Place
    weight: int
    service: str


class Registry(Protocol):
    """Each call may be repeated and has a deadline.

    Raises Unavailable when the registry is away or does nothing for this gateway, another EaselError when it
    refuses this one entry.
    """

    async def register(self, entry: Entry) -> None:
        """Writes the entry, also over an older one of the same place."""

    async def renew(self, entry: Entry) -> bool:
        """Says that the entry still holds. False when the registry knows of no such entry."""

    async def remove(self, entry: Entry) -> None:
        """Takes the entry out; one that is not there is no error."""

    async def close(self) -> None:
        """Gives up what is held open."""
