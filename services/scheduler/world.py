"""The scheduler's picture of everything it keeps, in memory.

One process writes the database, so what it last read and wrote is the truth: reads never wait for the
database, and every decision sees one consistent picture. Only `Ledger` changes it, after a commit.
"""

from collections.abc import Hashable, Iterable, Iterator, Mapping
from itertools import chain
from types import MappingProxyType

from libs.db.changes import Changes, Contents, Record
from libs.domain.errors import NotFound
from libs.domain.records import Instance, Node, ResourceGroup, Service, ServiceVersion, Token

_NONE: Mapping[str, Instance] = MappingProxyType({})


class World:
    """Read it freely between awaits; what you hold is frozen, what you look up again may be newer."""

    def __init__(self, contents: Contents) -> None:
        self.services: dict[str, Service] = {}
        self.versions: dict[str, dict[int, ServiceVersion]] = {}
        self.instances: dict[str, Instance] = {}
        self.nodes: dict[str, Node] = {}
        self.resource_groups: dict[str, ResourceGroup] = {}
        self.tokens: dict[str, Token] = {}
        self._of_service: dict[str, dict[str, Instance]] = {}
        self._on_node: dict[str, dict[str, Instance]] = {}
        for record in _records(contents):
            self._put(record)

    def records(self) -> Iterator[Record]:
        """Every record there is."""
        yield from self.services.values()
        yield from (version for versions in self.versions.values() for version in versions.values())
        yield from self.instances.values()
        yield from self.nodes.values()
        yield from self.resource_groups.values()
        yield from self.tokens.values()

    def service(self, name: str) -> Service:
        """Raises NotFound."""
        found = self.services.get(name)
        if found is None:
            raise NotFound(f"there is no service {name!r}")
        return found

    def version(self, service: str, number: int) -> ServiceVersion:
        """Raises NotFound."""
        found = self.versions.get(service, {}).get(number)
        if found is None:
            raise NotFound(f"service {service!r} has no version {number}")
        return found

    def instance(self, instance_id: str) -> Instance:
        """Raises NotFound."""
        found = self.instances.get(instance_id)
        if found is None:
            raise NotFound(f"there is no instance {instance_id!r}")
        return found

    def node(self, name: str) -> Node:
        """Raises NotFound."""
        found = self.nodes.get(name)
        if found is None:
            raise NotFound(f"there is no node {name!r}")
        return found

    def resource_group(self, name: str) -> ResourceGroup:
        """Raises NotFound."""
        found = self.resource_groups.get(name)
        if found is None:
            raise NotFound(f"there is no resource group {name!r}")
        return found

    def instances_of(self, service: str) -> Iterable[Instance]:
        return self._of_service.get(service, _NONE).values()

    def instances_on(self, node: str) -> Iterable[Instance]:
        return self._on_node.get(node, _NONE).values()

    def apply(self, changes: Changes) -> None:
        """Takes over what a commit has stored."""
        for record in changes.delete:
            self._drop(record)
        for record in changes.put:
            self._put(record)

    def _put(self, record: Record) -> None:
        match record:
            case Service():
                self.services[record.name] = record
            case ServiceVersion():
                self.versions.setdefault(record.service, {})[record.number] = record
            case Instance():
                self._drop_instance(record.id)
                self.instances[record.id] = record
                self._of_service.setdefault(record.service, {})[record.id] = record
                if record.node:
                    self._on_node.setdefault(record.node, {})[record.id] = record
            case Node():
                self.nodes[record.name] = record
            case ResourceGroup():
                self.resource_groups[record.name] = record
            case Token():
                self.tokens[record.id] = record

    def _drop(self, record: Record) -> None:
        match record:
            case Service():
                self.services.pop(record.name, None)
            case ServiceVersion():
                versions = self.versions.get(record.service, {})
                versions.pop(record.number, None)
                if not versions:
                    self.versions.pop(record.service, None)
            case Instance():
                self._drop_instance(record.id)
            case Node():
                self.nodes.pop(record.name, None)
            case ResourceGroup():
                self.resource_groups.pop(record.name, None)
            case Token():
                self.tokens.pop(record.id, None)

    def _drop_instance(self, instance_id: str) -> None:
        old = self.instances.pop(instance_id, None)
        if old is None:
            return
        self._of_service[old.service].pop(instance_id, None)
        if not self._of_service[old.service]:
            del self._of_service[old.service]
        if old.node:
            self._on_node[old.node].pop(instance_id, None)


def difference(world: World, contents: Contents) -> Changes:
    """What must be applied to the picture so that it is what is stored."""
    known = {_key(record): record for record in world.records()}
    stored = {_key(record): record for record in _records(contents)}
    return Changes(
        put=tuple(record for key, record in stored.items() if known.get(key) != record),
        delete=tuple(record for key, record in known.items() if key not in stored),
    )


def _records(contents: Contents) -> Iterator[Record]:
    yield from chain(
        contents.services,
        contents.versions,
        contents.instances,
        contents.nodes,
        contents.resource_groups,
        contents.tokens,
    )


def _key(record: Record) -> Hashable:
    match record:
        case ServiceVersion():
            return ServiceVersion, record.service, record.number
        case Instance() | Token():
            return type(record), record.id
        case _:
            return type(record), record.name
