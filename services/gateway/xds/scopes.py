"""A service's scopes: its routes by path, and its routes by host name.

Envoy picks a scope by a value that the listener computes (`listener.py`), so that finding a service costs
the same among ten services and ten thousand.
"""

from collections.abc import Iterable
from datetime import timedelta
from functools import cache
from typing import Any

from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.config.route.v3.route_components_pb2 import (
    DirectResponseAction,
    RetryPolicy,
    Route,
    RouteAction,
    RouteMatch,
    VirtualHost,
    WeightedCluster,
)
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.config.route.v3.scoped_route_pb2 import ScopedRouteConfiguration
from envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2 import PreviousHostsPredicate
from google.protobuf.wrappers_pb2 import UInt32Value

from services.gateway.routes import Backend, Service
from services.gateway.xds.auth import Door, doors
from services.gateway.xds.clusters import cluster_name
from services.gateway.xds.resource import SCOPE, Resource, resource
from services.gateway.xds.wire import milliseconds, packed, span

HOST_MARK = "#"
PREFIX = "/api/predict/"
SCOPE_HEADER = "x-easel-scope"
SERVICE_HEADER = "x-easel-service"

_UNTIL_DONE = milliseconds(0)


def scopes(service: Service, domains: Iterable[str]) -> list[Resource]:
    """The scope by path, and one for each domain, such as "easel.local" or "easel.local:8800"."""
    target = _target(service)
    built = [_scope(service, service.name, _path_routes(service, target), target)]
    for domain in domains:
        key = f"{HOST_MARK}{service.name}.{domain}"
        built.append(_scope(service, key, _host_routes(service, target), target))
    return built


def serving(service: Service) -> list[Backend]:
    """The versions that requests may go to: those with instances, else the newest one."""
    ready = [backend for backend in service.backends if backend.endpoints]
    return ready or list(service.backends[-1:])


def _target(service: Service) -> RouteAction | None:
    chosen = serving(service)
    if not chosen:
        return None
    action = RouteAction(timeout=_UNTIL_DONE)
    if service.grpc:
        action.max_stream_duration.grpc_timeout_header_max.CopyFrom(_UNTIL_DONE)
    if len(chosen) == 1:
        action.cluster = cluster_name(service.name, chosen[0].version)
        return action
    for backend in chosen:
        weight = UInt32Value(value=len(backend.endpoints))
        name = cluster_name(service.name, backend.version)
        action.weighted_clusters.clusters.append(WeightedCluster.ClusterWeight(name=name, weight=weight))
    return action


def _path_routes(service: Service, target: RouteAction | None) -> list[Route]:
    path = PREFIX + service.name
    entries = _doors(service)
    whole = RouteMatch(path_separated_prefix=path)
    if target is None or service.keep_path:
        routes = [_route(whole, target, door) for door in entries]
    else:
        stripped = RouteAction(prefix_rewrite="/")
        stripped.MergeFrom(target)
        places = (RouteMatch(path=path), RouteMatch(prefix=f"{path}/"))
        routes = [_route(place, stripped, door) for door in entries for place in places]
    return [*routes, _refusal(whole)]


def _doors(service: Service) -> list[Door]:
    return doors(tuple(each.value for each in service.tokens))


def _host_routes(service: Service, target: RouteAction | None) -> list[Route]:
    anywhere = RouteMatch(prefix="/")
    return [
        *(_route(anywhere, target, door) for door in _doors(service)),
        _refusal(anywhere),
    ]


def _route(place: RouteMatch, target: RouteAction | None, door: Door) -> Route:
    match = RouteMatch(headers=[door.header])
    match.MergeFrom(place)
    route = Route(match=match)
    if target is None:
        route.direct_response.CopyFrom(DirectResponseAction(status=503))
    else:
        route.route.CopyFrom(target)
    for name, config in door.filters.items():
        route.typed_per_filter_config[name].CopyFrom(config)
    return route


def _refusal(place: RouteMatch) -> Route:
    return Route(
        match=place,
        direct_response=DirectResponseAction(status=401),
        response_headers_to_add=[
            HeaderValueOption(header=HeaderValue(key="www-authenticate", value='Bearer realm="easel"'))
        ],
    )


def _scope(service: Service, name: str, routes: list[Route], target: RouteAction | None) -> Resource:
    retry = _retry(None if service.grpc else service.keepalive)
    host = VirtualHost(name=name, domains=["*"], routes=routes, retry_policy=retry)
    table = RouteConfiguration(
        name=name, virtual_hosts=[host], request_headers_to_remove=[SCOPE_HEADER, SERVICE_HEADER]
    )
    key = ScopedRouteConfiguration.Key(fragments=[ScopedRouteConfiguration.Key.Fragment(string_key=name)])
    message = ScopedRouteConfiguration(name=name, key=key, route_configuration=table)
    return resource(SCOPE, name, message, needs=_clusters(target))


def _clusters(target: RouteAction | None) -> tuple[str, ...]:
    if target is None:
        return ()
    if target.cluster:
        return (target.cluster,)
    return tuple(each.name for each in target.weighted_clusters.clusters)


@cache
def _retry(keepalive: timedelta | None) -> Any:
    """Another instance is tried only where the first one cannot have seen the request.

    The bound on a try runs from the end of the request to the first byte of the answer: a stream that has
    begun is never cut.
    """
    policy = RetryPolicy(
        retry_on="connect-failure,refused-stream,reset-before-request",
        num_retries=UInt32Value(value=4),
        host_selection_retry_max_attempts=5,
        retry_host_predicate=[
            RetryPolicy.RetryHostPredicate(
                name="envoy.retry_host_predicates.previous_hosts",
                typed_config=packed(PreviousHostsPredicate()),
            )
        ],
        retry_back_off=RetryPolicy.RetryBackOff(base_interval=milliseconds(5), max_interval=milliseconds(50)),
    )
    if keepalive:
        policy.per_try_timeout.CopyFrom(span(keepalive))
    return policy
