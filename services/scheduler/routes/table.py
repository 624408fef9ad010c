"""What gateways must serve, derived from the picture; each change of it is a new generation."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from easel.gateway.v1 import gateway_pb2
from libs.db.changes import Changes
from libs.domain.records import Instance
from libs.domain.traffic import SHARED_GATEWAY
from services.scheduler.gateways.address import url_of
from services.scheduler.gateways.settings import SecretOf, hosted_by, settings_of
from services.scheduler.routes.address import Address, address_of
from services.scheduler.routes.direct import DirectPlaces
from services.scheduler.routes.group_route import group_route_of
from services.scheduler.routes.journal import Audience
from services.scheduler.routes.registered import Registered
from services.scheduler.routes.selection import NodeAudiences
from services.scheduler.routes.service_route import Surroundings, on_nodes, own_endpoints, route_of
from services.scheduler.routes.touched import Touched, touched_by
from services.scheduler.world import World


@dataclass
class _Step:
    """One commit's way into the routes: its generation, and whom it concerns."""

    generation: int
    told: set[Audience] = field(default_factory=set)
    # Nodes of which it must be looked at anew what they serve.
    nodes: set[str] = field(default_factory=set)


class RoutesTable:
    """Generations grow without end, also over restarts: `base` must be larger than any given out before.

    A change costs what it touches, however many services and gateways there are.
    """

    def __init__(
        self, world: World, base: int, secret: SecretOf = lambda name: None, public_url: str = ""
    ) -> None:
        """`secret` opens secrets; `public_url` is where the shared gateway is reached until it says so."""
        self._world, self._secret, self._base = world, secret, base
        self.generation = base
        # Where gateways say that they are reached.
        self._said: dict[str, Address] = {}
        if (address := address_of(public_url)) is not None:
            self._said[SHARED_GATEWAY] = address
        self._of_gateways: dict[str, Address] = {}
        self._audiences: dict[str, Audience] = {}
        self._nodes = NodeAudiences(world)
        self._direct = DirectPlaces(self._nodes.get)
        self._around = Surroundings(self._direct.at, MappingProxyType(self._of_gateways), secret)
        self._home: dict[str, str] = {}
        self._group_home: dict[str, str] = {}
        self._routes: dict[str, gateway_pb2.ServiceRoute] = {}
        self._groups: dict[str, gateway_pb2.GroupRoute] = {}
        self._registered = Registered()
        self._hosts: dict[str, str] = {}
        self._defaults: dict[str, tuple[int, Address | None]] = {}
        self._endpoints_came_at: dict[str, int] = {}
        for name in (SHARED_GATEWAY, *world.gateways):
            self._take_defaults(name)
        everything = Touched(set(world.services), set(world.groups))
        self._derive(everything, _Step(base))
        # What was there before is known to gateways from before.
        self._endpoints_came_at.clear()

    # --- what gateways are told

    def audience(self, name: str, node: str = "") -> Audience:
        """That of the gateway of this name; that of a node, which must have joined, when one is given."""
        found = self._nodes.get(node) if node else None
        return found or self._audience(name)

    def full(self, audience: Audience) -> gateway_pb2.RoutesUpdate:
        """Everything of an audience, as one update."""
        update = gateway_pb2.RoutesUpdate(
            generation=self.generation,
            full=True,
            services=self._told(audience, audience.services),
            groups=[self._groups[name] for name in audience.groups],
        )
        self._add_settings(update, audience)
        return update

    def since(self, audience: Audience, generation: int) -> gateway_pb2.RoutesUpdate:
        """What changed for an audience after `generation`; several changes of one service are one entry.

        Everything, when that is too long ago to tell what was removed since.
        """
        if not audience.tells(generation):
            return self.full(audience)
        update = gateway_pb2.RoutesUpdate(
            generation=self.generation,
            services=self._told(audience, audience.services.changed_after(generation)),
            removed=audience.services.removed_after(generation),
            groups=[self._groups[name] for name in audience.groups.changed_after(generation)],
            removed_groups=audience.groups.removed_after(generation),
        )
        if audience.settings_at > generation:
            self._add_settings(update, audience)
        return update

    def came_since_start(self, instance: str) -> bool:
        """Whether no gateway can know of this instance from before the start."""
        return instance in self._endpoints_came_at

    def with_endpoint(self, instance: str) -> int:
        """The first generation that routes to this instance, as far as it is known since the start."""
        return self._endpoints_came_at.get(instance, self._base)

    def serves(self, audience: Audience, instance: str) -> bool:
        """Whether the service of an instance is an audience's."""
        known = self._world.instances.get(instance)
        return known is not None and known.service in audience.services

    # --- what changes

    def heard(self, changes: Changes) -> None:
        """A ledger listener: derives anew what the commit touches."""
        records = (*changes.put, *changes.delete)
        self._carry_out(touched_by(records, self._world, self._registered.at))
        for record in changes.delete:
            if isinstance(record, Instance):
                self._endpoints_came_at.pop(record.id, None)

    def reached_at(self, gateway: str, public_url: str) -> None:
        """A gateway says where clients reach it."""
        address = address_of(public_url)
        if address is not None and self._said.get(gateway) != address:
            self._said[gateway] = address
            self._carry_out(Touched(gateways={gateway}))

    def node_joined(self, node: str, direct_address: str) -> Audience:
        """A node has a gateway, which clients that connect directly reach at this address."""
        audience = self._nodes.get(node) or self._nodes.join(node, self.generation)
        self._carry_out(Touched(self._direct.joined(node, address_of(f"http://{direct_address}"))))
        return audience

    def node_applied(self, node: str, generation: int) -> None:
        """Every Envoy of a node's gateway has this generation."""
        found = self._direct.applied(node, generation)
        if found:
            self._carry_out(Touched(found))

    def node_left(self, node: str) -> None:
        """Clients that connect directly reach the services' own gateways in place of this node's."""
        self._nodes.leave(node)
        self._carry_out(Touched(self._direct.left(node)))

    def look(self, now: datetime, everywhere: Callable[[str, int], bool]) -> None:
        """Ends what lingers on nodes, once `everywhere` says that a service's gateways have a generation."""
        step = _Step(self.generation + 1)
        step.nodes = self._nodes.over(now, everywhere)
        for node in step.nodes:
            self._direct.over(node)
        self._close(step)

    def public_url(self, gateway: str) -> str:
        """What follows from what an operator has set; empty where nothing does."""
        return url_of(self._world.gateways.get(gateway))

    def written_to(self, registry: str) -> list[str]:
        """The services that name a registry."""
        return sorted(self._registered.at(registry))

    def audiences_of(self, service: str) -> list[Audience]:
        """Those of its own gateway and of the nodes that serve it."""
        home = self._home.get(service)
        return ([self._audience(home)] if home else []) + self._nodes.serving(service)

    # --- how

    def _carry_out(self, touched: Touched) -> None:
        step = _Step(self.generation + 1)
        for name in sorted(touched.gateways - {""}):
            self._gateway(name, touched, step)
        self._derive(touched, step)

    def _derive(self, touched: Touched, step: _Step) -> None:
        for name in sorted(touched.services):
            before = self._group_of(name)
            self._service(name, step)
            after = self._group_of(name)
            touched.groups |= {before, after} - {""}
            if before != after:
                step.nodes |= self._nodes.of_group(before) | self._nodes.of_group(after)
        for name in sorted(touched.groups):
            self._group(name, step)
        self._close(step)

    def _close(self, step: _Step) -> None:
        step.told |= set(self._nodes.reselect(step.nodes, step.generation))
        if step.told:
            self.generation = step.generation
            for audience in step.told:
                audience.tell()

    def _service(self, name: str, step: _Step) -> None:
        service, old = self._world.services.get(name), self._routes.get(name)
        self._registered.note(self._world, name, service)
        new = route_of(self._world, service, self._around) if service is not None else None
        home = service.gateway if service is not None else ""
        if new == old and home == self._home.get(name, ""):
            return
        for instance in own_endpoints(new) - own_endpoints(old):
            self._endpoints_came_at[instance] = step.generation
        self._at_home(name, home, self._home, step)
        if new is None:
            self._routes.pop(name, None)
            step.nodes |= self._nodes.gone(name)
            return
        self._routes[name] = new
        places = {endpoint.node for backend in new.backends for endpoint in backend.endpoints}
        step.nodes |= self._nodes.moved(name, places, step.generation)
        for audience in self._nodes.serving(name):
            audience.services.put(name, step.generation)
            step.told.add(audience)

    def _group(self, name: str, step: _Step) -> None:
        group, old = self._world.groups.get(name), self._groups.get(name)
        new = group_route_of(self._world, group) if group is not None else None
        home = group.gateway if group is not None else ""
        if new == old and home == self._group_home.get(name, ""):
            return
        self._at_home(name, home, self._group_home, step, of_groups=True)
        if new is None or old is None:
            step.nodes |= self._nodes.of_group(name)
        if new is None:
            self._groups.pop(name, None)
            return
        self._groups[name] = new
        for audience in self._nodes.serving_group(name):
            audience.groups.put(name, step.generation)
            step.told.add(audience)

    def _group_of(self, name: str) -> str:
        return self._routes[name].group if name in self._routes else ""

    def _at_home(
        self, name: str, home: str, homes: dict[str, str], step: _Step, of_groups: bool = False
    ) -> None:
        """Tells the gateway it is on, and the one it was on before."""
        before = homes.pop(name, "")
        if before and before != home:
            left = self._audience(before)
            (left.groups if of_groups else left.services).drop(name, step.generation)
            step.told.add(left)
        if home:
            homes[name] = home
            audience = self._audience(home)
            (audience.groups if of_groups else audience.services).put(name, step.generation)
            step.told.add(audience)

    def _gateway(self, name: str, touched: Touched, step: _Step) -> None:
        """Its settings go out anew; services on it are touched when its defaults are theirs."""
        record = self._world.gateways.get(name)
        hosts = {self._hosts.pop(name, ""), record.host if record is not None else ""}
        if record is not None and record.host:
            self._hosts[name] = record.host
        for told in {name, *hosts} - {""}:
            audience = self._audience(told)
            audience.settings_at = step.generation
            step.told.add(audience)
        if self._take_defaults(name):
            touched.services |= set(self._audience(name).services)

    def _take_defaults(self, name: str) -> bool:
        """Whether what its services have from it has changed."""
        record = self._world.gateways.get(name)
        # Clients that connect directly speak no TLS, so this is no address that only follows from settings.
        address = address_of(record.public_url if record is not None else "") or self._said.get(name)
        if address is not None:
            self._of_gateways[name] = address
        defaults = (record.keepalive_ms if record is not None else 0, address)
        before = self._defaults.get(name)
        self._defaults[name] = defaults
        if record is not None and record.host:
            self._hosts.setdefault(name, record.host)
        return before != defaults

    def _audience(self, name: str) -> Audience:
        return self._audiences.setdefault(name, Audience(name))

    def _told(self, audience: Audience, names: Iterable[str]) -> list[gateway_pb2.ServiceRoute]:
        routes = (self._routes[name] for name in names)
        return [on_nodes(route) for route in routes] if audience.node else list(routes)

    def _add_settings(self, update: gateway_pb2.RoutesUpdate, audience: Audience) -> None:
        """That of a node has none of its own."""
        if audience.node:
            update.settings.name = audience.name
            update.hosted.SetInParent()
        else:
            update.settings.CopyFrom(settings_of(self._world, audience.name, self._secret))
            update.hosted.CopyFrom(hosted_by(self._world, audience.name))
