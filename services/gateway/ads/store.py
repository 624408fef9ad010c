"""The newest good resources, by type and name, and when each came to be."""

from collections.abc import Iterable
from dataclasses import dataclass

from services.gateway.xds.resource import TYPES, Key, Resource


@dataclass(frozen=True)
class Entry:
    """A resource and the sequence number of the change that made it what it is."""

    resource: Resource
    since: int


class ResourceStore:
    """What every Envoy should have. `sequence` counts the changes.

    `known` is False until the first state, from disk or from the scheduler, is there as a whole.
    """

    def __init__(self) -> None:
        self._entries: dict[str, dict[str, Entry]] = {type_url: {} for type_url in TYPES}
        self._owned: dict[str, frozenset[Key]] = {}
        self.sequence, self.known = 0, False

    def get(self, key: Key) -> Entry | None:
        """The entry of that key, if it should exist."""
        return self._entries.get(key.type_url, {}).get(key.name)

    def of(self, type_url: str) -> dict[str, Entry]:
        """All entries of a type, by name."""
        return self._entries[type_url]

    def owned(self, owner: str) -> frozenset[Key]:
        """The keys of all that an owner has."""
        return self._owned.get(owner, frozenset())

    def begin(self) -> int:
        """Starts the next change and returns its sequence number."""
        self.sequence += 1
        return self.sequence

    def replace(self, owner: str, resources: Iterable[Resource]) -> list[Key]:
        """Makes `resources` all that `owner` has; returns the keys that differ from before."""
        differing: list[Key] = []
        keys: set[Key] = set()
        for each in resources:
            keys.add(each.key)
            old = self.get(each.key)
            if old is None or old.resource.version != each.version:
                self._entries[each.key.type_url][each.key.name] = Entry(each, self.sequence)
                differing.append(each.key)
        for key in self._owned.pop(owner, frozenset()) - keys:
            del self._entries[key.type_url][key.name]
            differing.append(key)
        if keys:
            self._owned[owner] = frozenset(keys)
        return differing
