"""What the gateways of nodes are to serve.

The gateway of a node has the services with an instance there, the groups of these, and all members of those
groups. A service whose last instance has left the node stays for a while: clients that connect directly may
have a list from before.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.scheduler.routes.journal import Audience, Journal
from services.scheduler.world import World

# How long clients may use a list of direct endpoints before they ask for it again, and some more.
LINGERS = timedelta(seconds=30)


def selected(world: World, direct: Iterable[str]) -> tuple[set[str], set[str]]:
    """The services and groups that belong with these services. Pure."""
    services = {name for name in direct if name in world.services}
    named = {world.services[name].group for name in services}
    groups = {group for group in named if group in world.groups}
    members = {member.name for group in groups for member in world.members_of(group)}
    return services | members, groups


@dataclass
class _Departure:
    """The generation of the routes without it, and when that was noticed."""

    generation: int
    at: datetime | None = None


class NodeAudiences:
    """Those of the nodes that have a gateway. A call costs what belongs to the service or node touched."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._of: dict[str, Audience] = {}
        # Where a service has instances, or had some lately, and where it is served for whatever reason.
        self._direct_on: dict[str, set[str]] = {}
        self._served_on: dict[str, set[str]] = {}
        self._groups_on: dict[str, set[str]] = {}
        self._departed: dict[tuple[str, str], _Departure] = {}

    def get(self, node: str) -> Audience | None:
        return self._of.get(node)

    def join(self, node: str, generation: int) -> Audience:
        """Begins to serve a node, as it is now."""
        audience = self._of[node] = Audience(node, node)
        for instance in self._world.instances_on(node):
            if instance.routed:
                audience.direct.add(instance.service)
                self._direct_on.setdefault(instance.service, set()).add(node)
        self.reselect({node}, generation)
        return audience

    def leave(self, node: str) -> None:
        audience = self._of.pop(node, None)
        if audience is None:
            return
        for service in audience.direct:
            _discard(self._direct_on, service, node)
            self._departed.pop((node, service), None)
        for service in audience.services:
            _discard(self._served_on, service, node)
        for group in audience.groups:
            _discard(self._groups_on, group, node)

    def moved(self, service: str, places: set[str], generation: int) -> set[str]:
        """A service has its ready instances on these nodes; the nodes of which the selection may differ."""
        before = set(self._direct_on.get(service, ()))
        here = {node for node in places if node in self._of}
        for node in here:
            self._departed.pop((node, service), None)
        for node in before - here:
            self._departed.setdefault((node, service), _Departure(generation))
        for node in here - before:
            self._of[node].direct.add(service)
            self._direct_on.setdefault(service, set()).add(node)
        return here - before

    def gone(self, service: str) -> set[str]:
        """A service is deleted; the nodes of which the selection differs."""
        for node in self._direct_on.pop(service, set()):
            self._of[node].direct.discard(service)
            self._departed.pop((node, service), None)
        return set(self._served_on.get(service, ()))

    def of_group(self, group: str) -> set[str]:
        """The nodes that have to do with a group."""
        nodes = set(self._groups_on.get(group, ()))
        for member in self._world.members_of(group):
            nodes |= self._direct_on.get(member.name, set())
        return nodes

    def serving(self, service: str) -> list[Audience]:
        return [self._of[node] for node in self._served_on.get(service, ())]

    def serving_group(self, group: str) -> list[Audience]:
        return [self._of[node] for node in self._groups_on.get(group, ())]

    def reselect(self, nodes: Iterable[str], generation: int) -> list[Audience]:
        """Compares what some nodes are to serve with what they do; those that differ."""
        differing = []
        for node in nodes:
            audience = self._of[node]
            services, groups = selected(self._world, audience.direct)
            services_differ = _aligned(audience.services, services, self._served_on, node, generation)
            if _aligned(audience.groups, groups, self._groups_on, node, generation) or services_differ:
                differing.append(audience)
        return differing

    def over(self, now: datetime, everywhere: Callable[[str, int], bool]) -> set[str]:
        """Ends what lingered for long enough; the nodes of which the selection may differ.

        `everywhere` says whether a generation of a service's routes is applied by all its gateways.
        """
        nodes = set()
        for (node, service), departure in tuple(self._departed.items()):
            departure.at = departure.at or now
            if now - departure.at < LINGERS or not everywhere(service, departure.generation):
                continue
            del self._departed[node, service]
            self._of[node].direct.discard(service)
            _discard(self._direct_on, service, node)
            nodes.add(node)
        return nodes


def _aligned(
    journal: Journal, wanted: set[str], index: dict[str, set[str]], node: str, generation: int
) -> bool:
    """Makes a journal hold what is wanted, and says whether it differed."""
    known = set(journal)
    for name in wanted - known:
        journal.put(name, generation)
        index.setdefault(name, set()).add(node)
    for name in known - wanted:
        journal.drop(name, generation)
        _discard(index, name, node)
    return known != wanted


def _discard(index: dict[str, set[str]], name: str, node: str) -> None:
    nodes = index.get(name)
    if nodes is not None:
        nodes.discard(node)
        if not nodes:
            del index[name]
