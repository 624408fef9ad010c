"""From entries to Envoy's scopes, each with its routes inside.

Envoy picks a scope by a value that the listener computes (`listener.py`), so that finding a service costs
the same among ten services and ten thousand.
"""

from collections.abc import Iterable
from typing import Any

from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.config.route.v3.route_components_pb2 import (
    DirectResponseAction,
    Route,
    RouteMatch,
    VirtualHost,
)
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.config.route.v3.scoped_route_pb2 import ScopedRouteConfiguration

from services.gateway.routing.doors import Door
from services.gateway.routing.rules import Choice, Entry
from services.gateway.xds.auth import looked_at_closer, shown
from services.gateway.xds.forwarding import Forwarding, forwarding
from services.gateway.xds.grpc import grpc_filters
from services.gateway.xds.limits import rates
from services.gateway.xds.resource import SCOPE, Resource, resource

SCOPE_HEADER = "x-easel-scope"
SERVICE_HEADER = "x-easel-service"


def scopes(entries: Iterable[Entry]) -> list[Resource]:
    """One scope an entry. Entries that lead to the same services share what is built for these."""
    known: dict[str, Forwarding] = {}
    return [_scope(entry, known) for entry in entries]


def _scope(entry: Entry, known: dict[str, Forwarding]) -> Resource:
    for choice in entry.choices:
        if choice.service.name not in known:
            known[choice.service.name] = forwarding(choice.service)
    ways = [known[choice.service.name] for choice in entry.choices]
    host = VirtualHost(name=entry.key, domains=["*"], routes=_routes(entry, ways))
    if len({choice.service.name for choice in entry.choices}) == 1:
        # Said once for all routes where they lead to one service.
        host.retry_policy.CopyFrom(ways[0].retry)
    for name, config in _host_filters(entry).items():
        host.typed_per_filter_config[name].CopyFrom(config)
    table = RouteConfiguration(
        name=entry.key, virtual_hosts=[host], request_headers_to_remove=[SCOPE_HEADER, SERVICE_HEADER]
    )
    key = ScopedRouteConfiguration.Key(
        fragments=[ScopedRouteConfiguration.Key.Fragment(string_key=entry.key)]
    )
    message = ScopedRouteConfiguration(name=entry.key, key=key, route_configuration=table)
    needs = tuple(dict.fromkeys(name for way in ways for name in way.clusters))
    return resource(SCOPE, entry.key, message, needs=needs)


def _host_filters(entry: Entry) -> dict[str, Any]:
    """What all routes of an entry pass through, those that refuse included: said once, and shared."""
    services = {choice.service.name: choice.service for choice in entry.choices}
    return {**grpc_filters(services.values()), **rates(services.values())}


def _routes(entry: Entry, ways: list[Forwarding]) -> list[Route]:
    routes = [
        route
        for door in entry.doors
        for choice, way in zip(entry.choices, ways, strict=True)
        for route in _chosen(entry, door, choice, way)
    ]
    return [*routes, _refusal(entry)]


def _chosen(entry: Entry, door: Door, choice: Choice, way: Forwarding) -> list[Route]:
    """The routes by which one choice is taken; two where the path in front is to be taken off."""
    if not entry.path or way.action is None or choice.service.keep_path:
        return [_route(entry, _whole(entry), door, way, rewrite="")]
    places = (RouteMatch(path=entry.path), RouteMatch(prefix=f"{entry.path}/"))
    return [_route(entry, place, door, way, rewrite="/") for place in places]


def _whole(entry: Entry) -> RouteMatch:
    return RouteMatch(path_separated_prefix=entry.path) if entry.path else RouteMatch(prefix="/")


def _route(entry: Entry, place: RouteMatch, door: Door, way: Forwarding, rewrite: str) -> Route:
    match = RouteMatch(headers=[shown(door)])
    match.MergeFrom(place)
    route = Route(match=match)
    if way.action is None:
        route.direct_response.CopyFrom(DirectResponseAction(status=entry.nobody.answered))
    else:
        route.route.CopyFrom(way.action)
        route.route.prefix_rewrite = rewrite
    for name, config in {**way.filters, **looked_at_closer(door)}.items():
        route.typed_per_filter_config[name].CopyFrom(config)
    for name, values in way.metadata.items():
        route.metadata.filter_metadata[name].update(values)
    return route


def _refusal(entry: Entry) -> Any:
    challenge = HeaderValue(key="www-authenticate", value='Bearer realm="easel"')
    return Route(
        match=_whole(entry),
        direct_response=DirectResponseAction(status=entry.closed.answered),
        response_headers_to_add=[HeaderValueOption(header=challenge)],
    )
