"""One service as gateways need it. Pure."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType

from easel.gateway.v1 import gateway_pb2
from libs.domain.records import Instance, Service
from libs.domain.traffic import SHARED_GATEWAY, Registry
from services.scheduler.access.rules import Owner, tokens_of
from services.scheduler.facts import Facts
from services.scheduler.routes.address import Address
from services.scheduler.routes.in_force import facts_in_force
from services.scheduler.routes.mirror_routes import mirrors_of
from services.scheduler.scaling.policies import autoscaler_of
from services.scheduler.world import World

# Of services that name no metadata.rpc.keepalive, where their gateway says nothing else.
SHARED_KEEPALIVE = timedelta(seconds=5)
DEDICATED_KEEPALIVE = timedelta(minutes=10)


@dataclass(frozen=True)
class Surroundings:
    """What routes depend on beside the records: where gateways are reached, and the values of secrets."""

    # By node and service, and by the name of a gateway.
    on_node: Callable[[str, str], Address | None] = lambda node, service: None
    of_gateways: Mapping[str, Address] = field(default_factory=lambda: MappingProxyType({}))
    secret: Callable[[str], Mapping[str, str] | None] = lambda name: None


def route_of(world: World, service: Service, around: Surroundings) -> gateway_pb2.ServiceRoute:
    """Its tokens and limits, ready instances by version in a fixed order, and where clients reach them."""
    facts = facts_in_force(world, service)
    tokens = tokens_of(world, Owner("service", service.name))
    ready = sorted((i for i in world.instances_of(service.name) if i.routed), key=lambda i: (i.version, i.id))
    hold = hold_of(world, service)
    return gateway_pb2.ServiceRoute(
        name=service.name,
        tokens=[token.value for token in tokens],
        token_ids=[token.id for token in tokens],
        keepalive_ms=_ms(keepalive_of(world, service.gateway, facts)),
        keep_path=facts.keep_path,
        grpc=facts.grpc,
        webservice=facts.webservice,
        limits=_limits(facts),
        group=service.group,
        # One that sleeps keeps a place for the instance that is waited for.
        backends=_backends(ready) or ([gateway_pb2.Backend(version=service.version)] if hold else []),
        hold=hold,
        mirrors=mirrors_of(world, service),
        direct=direct_endpoints(service.gateway, ready, around),
        tcp_listeners=[gateway_pb2.TcpListener(id=lb, port=port) for lb, port in facts.edge.listeners],
        registrations=[
            _registration(world.registries[name], service.name, around)
            for name in facts.edge.registries
            if name in world.registries
        ],
    )


def on_nodes(route: gateway_pb2.ServiceRoute) -> gateway_pb2.ServiceRoute:
    """The same for gateways of nodes: ports of TCP are the matter of the service's own gateway.

    Registries are not: each gateway writes its own address into them, so that it expires with the gateway.
    """
    if not route.tcp_listeners:
        return route
    same = gateway_pb2.ServiceRoute()
    same.CopyFrom(route)
    del same.tcp_listeners[:]
    return same


def hold_of(world: World, service: Service) -> gateway_pb2.Hold | None:
    """How requests wait for an instance; None where they are refused while there is none."""
    scaler = autoscaler_of(world, service.name)
    if scaler is None or scaler.min or service.stopped or service.deleting:
        return None
    zero = scaler.behavior.on_zero
    return gateway_pb2.Hold(
        requests=zero.hold_requests, mib=zero.hold_mebibytes, within_ms=zero.hold_seconds * 1000
    )


def own_endpoints(route: gateway_pb2.ServiceRoute | None) -> set[str]:
    """The instances that take its requests; copies go to others."""
    backends = route.backends if route is not None else ()
    return {endpoint.instance for backend in backends for endpoint in backend.endpoints}


def keepalive_of(world: World, gateway: str, facts: Facts) -> timedelta:
    """Its own, else that of its gateway."""
    if facts.keepalive_given:
        return facts.keepalive
    record = world.gateways.get(gateway)
    if record is not None and record.keepalive_ms:
        return timedelta(milliseconds=record.keepalive_ms)
    return SHARED_KEEPALIVE if gateway == SHARED_GATEWAY else DEDICATED_KEEPALIVE


def endpoint_of(instance: Instance) -> gateway_pb2.Endpoint:
    return gateway_pb2.Endpoint(
        instance=instance.id, address=instance.address, port=instance.port, node=instance.node
    )


def direct_endpoints(
    gateway: str, ready: list[Instance], around: Surroundings
) -> list[gateway_pb2.DirectEndpoint]:
    """For each node with ready instances its gateway's address, else that of the service's own gateway."""
    own = around.of_gateways.get(gateway)
    places = Counter(around.on_node(instance.node, instance.service) or own for instance in ready)
    return [
        gateway_pb2.DirectEndpoint(address=place.host, port=place.port, weight=weight)
        for place, weight in sorted((p, w) for p, w in places.items() if p is not None)
    ]


def _backends(ready: list[Instance]) -> list[gateway_pb2.Backend]:
    backends: dict[int, gateway_pb2.Backend] = {}
    for instance in ready:
        backend = backends.setdefault(instance.version, gateway_pb2.Backend(version=instance.version))
        backend.endpoints.append(endpoint_of(instance))
    return list(backends.values())


def _limits(facts: Facts) -> gateway_pb2.Limits | None:
    edge = facts.edge
    limits = gateway_pb2.Limits(
        rate_per_instance=edge.rate_per_instance,
        rate=edge.rate,
        concurrency=edge.concurrency,
        in_flight_per_instance=edge.in_flight_per_instance,
    )
    return limits if limits.ByteSize() else None


def _registration(registry: Registry, service: str, around: Surroundings) -> gateway_pb2.Registration:
    login = around.secret(registry.secret) or {} if registry.secret else {}
    return gateway_pb2.Registration(
        registry=registry.id,
        kind=registry.kind,
        url=registry.url,
        namespace=registry.namespace,
        group=registry.group,
        user=login.get("user", ""),
        password=login.get("password", ""),
        service_name=service,
    )


def _ms(span: timedelta) -> int:
    return round(span.total_seconds() * 1000)
