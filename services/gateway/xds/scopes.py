"""From entries to Envoy's scopes, each with its routes inside.

Envoy picks a scope by a value that the listener computes (`listener.py`), so that finding a service costs
the same among ten services and ten thousand.
"""

import hashlib
from collections.abc import Iterable
from typing import Any

from envoy.config.route.v3.route_components_pb2 import VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.config.route.v3.scoped_route_pb2 import ScopedRouteConfiguration

from services.gateway.routing.rules import SCOPE_HEADER, SERVICE_HEADER, Entry
from services.gateway.xds.entry_routes import EntryRoutes, in_a_row, tree, wants_tree
from services.gateway.xds.forwarding import Forwarding, forwarding
from services.gateway.xds.grpc import grpc_filters
from services.gateway.xds.limits import rates
from services.gateway.xds.resource import SCOPE, Resource, resource

# In bytes.
_SHORT = 22


def scopes(entries: Iterable[Entry], token: str = "") -> list[Resource]:
    """One scope an entry. Entries that lead to the same services share what is built for these.

    With `token` Envoy asks the gateway process which requests are to wait.
    """
    known: dict[str, Forwarding] = {}
    return [_scope(entry, known, token) for entry in entries]


def _scope(entry: Entry, known: dict[str, Forwarding], token: str) -> Resource:
    for choice in entry.choices:
        if choice.service.name not in known:
            known[choice.service.name] = forwarding(choice.service)
    host = VirtualHost(name=entry.key, domains=["*"])
    _route(entry, known, host, token)
    for name, config in _host_filters(entry).items():
        host.typed_per_filter_config[name].CopyFrom(config)
    table = RouteConfiguration(
        name=entry.key, virtual_hosts=[host], request_headers_to_remove=[SCOPE_HEADER, SERVICE_HEADER]
    )
    key = ScopedRouteConfiguration.Key(
        fragments=[ScopedRouteConfiguration.Key.Fragment(string_key=entry.key)]
    )
    name = scope_name(entry.key)
    message = ScopedRouteConfiguration(name=name, key=key, route_configuration=table)
    ways = [known[choice.service.name] for choice in entry.choices]
    needs = tuple(dict.fromkeys(name for way in ways for name in way.clusters))
    return resource(SCOPE, name, message, needs=needs)


def scope_name(key: str) -> str:
    """What a scope is called: its key, shortened where that is long, and still told from any other.

    At each change of a scope Envoy copies the names of all scopes; up to this length that costs no memory of
    its own for each, and so less than half the time.
    """
    if len(key.encode()) <= _SHORT:
        return key
    digest = hashlib.blake2b(key.encode(), digest_size=5).hexdigest()
    return f"{key[: _SHORT - 11]}~{digest}"


def _route(entry: Entry, known: dict[str, Forwarding], host: VirtualHost, token: str) -> None:
    """Gives the host its routes: in a row where they are few, else in a tree."""
    retries = [known[choice.service.name].retry for choice in entry.choices]
    alike = all(each is retries[0] for each in retries)
    if retries and alike:
        # Said once for all routes where the services are retried alike.
        host.retry_policy.CopyFrom(retries[0])
    routes = EntryRoutes(entry, known, retry_of_each=not alike, token=token)
    if wants_tree(entry):
        host.matcher.CopyFrom(tree(routes))
    else:
        host.routes.extend(in_a_row(routes))


def _host_filters(entry: Entry) -> dict[str, Any]:
    """What all routes of an entry pass through, those that refuse included: said once, and shared."""
    services = {choice.service.name: choice.service for choice in entry.choices}
    return {**grpc_filters(services.values()), **rates(services.values())}
