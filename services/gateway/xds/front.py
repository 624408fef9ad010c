"""The way to what the gateway process answers by itself: a cluster, and a scope with its paths."""

from collections.abc import Iterable
from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_components_pb2 import Endpoint, LbEndpoint, LocalityLbEndpoints
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.route.v3.route_components_pb2 import Route, RouteAction, RouteMatch, VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.config.route.v3.scoped_route_pb2 import ScopedRouteConfiguration

from services.gateway.routing.front import FRONT_KEY, FRONT_PATHS
from services.gateway.routing.rules import SCOPE_HEADER, SERVICE_HEADER
from services.gateway.xds.clusters import UPSTREAM, protocol
from services.gateway.xds.forwarding import retry_policy
from services.gateway.xds.resource import CLUSTER, SCOPE, Resource, resource
from services.gateway.xds.wire import address_of, milliseconds, packed

FRONT_CLUSTER = "easel_front"


def front_resources(address: str) -> tuple[Resource, ...]:
    """What an Envoy needs to reach the gateway process at `address`, "unix:/path" or "host:port"."""
    return _cluster(address), _scope()


def _cluster(address: str) -> Resource:
    place = LbEndpoint(endpoint=Endpoint(address=address_of(address)))
    local = address.startswith("unix:")
    message = Cluster(
        name=FRONT_CLUSTER,
        type=Cluster.DiscoveryType.STATIC if local else Cluster.DiscoveryType.STRICT_DNS,
        connect_timeout=milliseconds(1_000),
        load_assignment=ClusterLoadAssignment(
            cluster_name=FRONT_CLUSTER, endpoints=[LocalityLbEndpoints(lb_endpoints=[place])]
        ),
    )
    # Idle connections are closed from this side, so that no request meets one that is being closed.
    message.typed_extension_protocol_options[UPSTREAM].CopyFrom(packed(protocol(grpc=False)))
    return resource(CLUSTER, FRONT_CLUSTER, message)


def front_table(name: str, paths: Iterable[str], *more: Route) -> RouteConfiguration:
    """The routes of these paths, and `more` for what is below none of them."""
    action = RouteAction(cluster=FRONT_CLUSTER, timeout=milliseconds(5_000))
    routes = [*(Route(match=RouteMatch(prefix=path), route=action) for path in paths), *more]
    host: Any = VirtualHost(name=name, domains=["*"], routes=routes, retry_policy=retry_policy(None))
    return RouteConfiguration(
        name=name, virtual_hosts=[host], request_headers_to_remove=[SCOPE_HEADER, SERVICE_HEADER]
    )


def _scope() -> Resource:
    table = front_table(FRONT_KEY, FRONT_PATHS)
    key = ScopedRouteConfiguration.Key(
        fragments=[ScopedRouteConfiguration.Key.Fragment(string_key=FRONT_KEY)]
    )
    message = ScopedRouteConfiguration(name=FRONT_KEY, key=key, route_configuration=table)
    return resource(SCOPE, FRONT_KEY, message)
