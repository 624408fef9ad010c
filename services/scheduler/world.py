"""The scheduler's picture of everything it keeps, in memory.

One process writes the database, so what it last read and wrote is the truth: reads never wait for the
database, and every decision sees one consistent picture. Only `Ledger` changes it, after a commit.
"""

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TypeVar

from libs.db.changes import Changes, Contents, Record
from libs.db.rows import key_of
from libs.domain.assets import Dataset, ImagePull, Secret
from libs.domain.errors import NotFound
from libs.domain.records import (
    GpuFence,
    Instance,
    Node,
    ResourceGroup,
    Rollout,
    Service,
    ServiceVersion,
    Token,
)
from libs.domain.scaling import Autoscaler, Cronscaler
from libs.domain.traffic import AccessToken, Gateway, Group, Mirror, Ramp, Registry

N = TypeVar("N")
K = TypeVar("K")
V = TypeVar("V")

_NONE: Mapping[str, Instance] = MappingProxyType({})
_NO_SERVICES: Mapping[str, Service] = MappingProxyType({})
_NO_MIRRORS: Mapping[str, Mirror] = MappingProxyType({})
# Members that a sentence names.
_SHOWN = 10
_NO_TOKENS: Mapping[str, AccessToken] = MappingProxyType({})

# Records that are found by one field and in no other way: where they are kept, and that field.
_SHELVES: Mapping[type[Record], tuple[str, str]] = {
    Node: ("nodes", "name"),
    ResourceGroup: ("resource_groups", "name"),
    Token: ("tokens", "id"),
    Rollout: ("rollouts", "service"),
    Secret: ("secrets", "name"),
    ImagePull: ("image_pulls", "id"),
    Group: ("groups", "name"),
    Ramp: ("ramps", "service"),
    Gateway: ("gateways", "name"),
    Registry: ("registries", "id"),
    Autoscaler: ("autoscalers", "service"),
    Cronscaler: ("cronscalers", "service"),
}


class World:
    """Read it freely between awaits; what you hold is frozen, what you look up again may be newer."""

    def __init__(self, contents: Contents) -> None:
        self.services: dict[str, Service] = {}
        self.versions: dict[str, dict[int, ServiceVersion]] = {}
        self.instances: dict[str, Instance] = {}
        self.nodes: dict[str, Node] = {}
        self.resource_groups: dict[str, ResourceGroup] = {}
        self.tokens: dict[str, Token] = {}
        self.rollouts: dict[str, Rollout] = {}
        # By node and UUID, also the lifted ones.
        self.gpu_fences: dict[tuple[str, str], GpuFence] = {}
        self.secrets: dict[str, Secret] = {}
        self.datasets: dict[str, dict[str, Dataset]] = {}
        self.image_pulls: dict[str, ImagePull] = {}
        self.groups: dict[str, Group] = {}
        # By the service that is on its way.
        self.ramps: dict[str, Ramp] = {}
        # By the service that is copied.
        self.mirrors: dict[str, Mirror] = {}
        self.gateways: dict[str, Gateway] = {}
        self.access_tokens: dict[str, AccessToken] = {}
        self.registries: dict[str, Registry] = {}
        self.autoscalers: dict[str, Autoscaler] = {}
        self.cronscalers: dict[str, Cronscaler] = {}
        self._of_service: dict[str, dict[str, Instance]] = {}
        self._on_node: dict[str, dict[str, Instance]] = {}
        self._members: dict[str, dict[str, Service]] = {}
        self._mirrored_to: dict[str, dict[str, Mirror]] = {}
        self._tokens_of: dict[tuple[str, str], dict[str, AccessToken]] = {}
        for record in contents.records():
            self._put(record)

    def records(self) -> Iterator[Record]:
        """Every record there is."""
        yield from self.services.values()
        yield from (version for versions in self.versions.values() for version in versions.values())
        yield from self.instances.values()
        yield from self.nodes.values()
        yield from self.resource_groups.values()
        yield from self.tokens.values()
        yield from self.rollouts.values()
        yield from self.gpu_fences.values()
        yield from self.secrets.values()
        yield from (dataset for versions in self.datasets.values() for dataset in versions.values())
        yield from self.image_pulls.values()
        yield from self.groups.values()
        yield from self.ramps.values()
        yield from self.mirrors.values()
        yield from self.gateways.values()
        yield from self.access_tokens.values()
        yield from self.registries.values()
        yield from self.autoscalers.values()
        yield from self.cronscalers.values()

    def service(self, name: str) -> Service:
        """Raises NotFound."""
        found = self.services.get(name)
        if found is None:
            raise NotFound(f"there is no service {name!r}{self._but_a_group(name)}")
        return found

    def _but_a_group(self, name: str) -> str:
        """What is said to those who took a group for a service; empty where there is no such group."""
        if name not in self.groups:
            return ""
        members = sorted(member.name for member in self.members_of(name))
        more = f" and {len(members) - _SHOWN} more" if len(members) > _SHOWN else ""
        named = f"name one of its members: {', '.join(members[:_SHOWN])}{more}" if members else "it is empty"
        return f": it is a group (`easel group desc {name}`, `easel group token {name}`); {named}"

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

    def secret(self, name: str) -> Secret:
        """Raises NotFound."""
        found = self.secrets.get(name)
        if found is None:
            raise NotFound(f"there is no secret {name!r}")
        return found

    def image_pull(self, pull_id: str) -> ImagePull:
        """Raises NotFound."""
        found = self.image_pulls.get(pull_id)
        if found is None:
            raise NotFound(f"there is no image pull {pull_id!r}")
        return found

    def group(self, name: str) -> Group:
        """Raises NotFound."""
        found = self.groups.get(name)
        if found is None:
            raise NotFound(f"there is no group {name!r}")
        return found

    def gateway(self, name: str) -> Gateway:
        """Raises NotFound."""
        found = self.gateways.get(name)
        if found is None:
            raise NotFound(f"there is no gateway {name!r}")
        return found

    def members_of(self, group: str) -> Iterable[Service]:
        """The services that are in a group, in no order."""
        return self._members.get(group, _NO_SERVICES).values()

    def mirrors_to(self, service: str) -> Iterable[Mirror]:
        """The mirrors that have this service as a target, in no order."""
        return self._mirrored_to.get(service, _NO_MIRRORS).values()

    def access_tokens_of(self, owner_kind: str, owner: str) -> Iterable[AccessToken]:
        """The tokens of a service or a group beside its first one, in no order."""
        return self._tokens_of.get((owner_kind, owner), _NO_TOKENS).values()

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
                self._drop_service(record.name)
                self.services[record.name] = record
                if record.group:
                    self._members.setdefault(record.group, {})[record.name] = record
            case ServiceVersion():
                self.versions.setdefault(record.service, {})[record.number] = record
            case Instance():
                self._drop_instance(record.id)
                self.instances[record.id] = record
                self._of_service.setdefault(record.service, {})[record.id] = record
                if record.node:
                    self._on_node.setdefault(record.node, {})[record.id] = record
            case GpuFence():
                self.gpu_fences[record.node, record.uuid] = record
            case Dataset():
                self.datasets.setdefault(record.id, {})[record.version] = record
            case Mirror():
                self._drop_mirror(record.service)
                self.mirrors[record.service] = record
                for target in record.targets:
                    self._mirrored_to.setdefault(target, {})[record.service] = record
            case AccessToken():
                self.access_tokens[record.id] = record
                self._tokens_of.setdefault((record.owner_kind, record.owner), {})[record.id] = record
            case _:
                shelf, key = _SHELVES[type(record)]
                getattr(self, shelf)[getattr(record, key)] = record

    def _drop(self, record: Record) -> None:
        match record:
            case Service():
                self._drop_service(record.name)
            case ServiceVersion():
                _pop_inner(self.versions, record.service, record.number)
            case Instance():
                self._drop_instance(record.id)
            case GpuFence():
                self.gpu_fences.pop((record.node, record.uuid), None)
            case Dataset():
                _pop_inner(self.datasets, record.id, record.version)
            case Mirror():
                self._drop_mirror(record.service)
            case AccessToken():
                self.access_tokens.pop(record.id, None)
                _pop_inner(self._tokens_of, (record.owner_kind, record.owner), record.id)
            case _:
                shelf, key = _SHELVES[type(record)]
                getattr(self, shelf).pop(getattr(record, key), None)

    def _drop_service(self, name: str) -> None:
        old = self.services.pop(name, None)
        if old is not None and old.group:
            _pop_inner(self._members, old.group, name)

    def _drop_mirror(self, service: str) -> None:
        old = self.mirrors.pop(service, None)
        for target in old.targets if old is not None else ():
            _pop_inner(self._mirrored_to, target, service)

    def _drop_instance(self, instance_id: str) -> None:
        old = self.instances.pop(instance_id, None)
        if old is None:
            return
        self._of_service[old.service].pop(instance_id, None)
        if not self._of_service[old.service]:
            del self._of_service[old.service]
        if old.node:
            self._on_node[old.node].pop(instance_id, None)


def _pop_inner(outer: dict[N, dict[K, V]], name: N, key: K) -> None:
    """Drops one of the inner entries, and the outer one with its last."""
    inner = outer.get(name, {})
    inner.pop(key, None)
    if not inner:
        outer.pop(name, None)


def difference(world: World, contents: Contents) -> Changes:
    """What must be applied to the picture so that it is what is stored."""
    known = {key_of(record): record for record in world.records()}
    stored = {key_of(record): record for record in contents.records()}
    return Changes(
        put=tuple(record for key, record in stored.items() if known.get(key) != record),
        delete=tuple(record for key, record in known.items() if key not in stored),
    )
