"""The scheduler's picture of everything it keeps, in memory.

One process writes the database, so what it last read and wrote is the truth: reads never wait for the
database, and every decision sees one consistent picture. Only `Ledger` changes it, after a commit.
"""

from collections.abc import Iterable, Mapping, Sequence
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
        everything: Sequence[Iterable[Record]] = (
            contents.services,
            contents.versions,
            contents.instances,
            contents.nodes,
            contents.resource_groups,
            contents.tokens,
        )
        for records in everything:
            for record in records:
                self._put(record)

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
