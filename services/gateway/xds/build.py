"""From what the gateway knows to what Envoy must have. Pure: equal input gives equal bytes."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from services.gateway.routes import Backend, Group, Service
from services.gateway.routing.rules import group_entries, keys_of, service_entries
from services.gateway.xds.clusters import cluster, endpoints
from services.gateway.xds.edge import NO_REACH, Reach
from services.gateway.xds.mirrors import mirror_resources
from services.gateway.xds.resource import SCOPE, Key, Resource
from services.gateway.xds.scopes import scope_name, scopes
from services.gateway.xds.tcp import tcp_resources


def service_resources(
    service: Service,
    domains: Iterable[str],
    group: Group | None = None,
    node: str = "",
    periods: Iterable[int] = (),
    reach: Reach = NO_REACH,
    served: Iterable[int] = (),
) -> list[Resource]:
    """Everything that one service needs. `group` is the one it is a member of, where that is known.

    For the gateway of a `node`, instances there come before all others. `periods` are those of web sessions.
    While no version is served, those of which instances were `served` last keep their clusters, and with them
    what Envoy counted.
    """
    domains = tuple(domains)
    routes = scopes(service_entries(service, domains, group, periods), reach.token)
    # Instances leave only when no route leads to them any more, so that no request finds them gone.
    away = tuple(each.key for each in routes) + _routes_of(group, service, domains)
    built: list[Resource] = []
    reached = service if service.backends else replace(service, backends=tuple(map(Backend, served)))
    for backend in reached.backends:
        both = cluster(reached, backend, reach), endpoints(reached, backend, node)
        built += both if backend.endpoints else (replace(each, after=away) for each in both)
    built += mirror_resources(service, reach)
    built += tcp_resources(service, reach)
    return built + routes


def group_resources(
    group: Group, members: Mapping[str, Service], domains: Iterable[str], reach: Reach = NO_REACH
) -> list[Resource]:
    """Everything that a group needs beside what its members have."""
    return scopes(group_entries(group, members, domains), reach.token)


def _routes_of(group: Group | None, service: Service, domains: Iterable[str]) -> tuple[Key, ...]:
    """Those of a group that may lead to a service."""
    if group is None or service.name not in group.leads_to:
        return ()
    return tuple(Key(SCOPE, scope_name(key)) for key in keys_of(group.name, domains))
