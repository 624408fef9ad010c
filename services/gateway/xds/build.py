"""From what the gateway knows to what Envoy must have. Pure: equal input gives equal bytes."""

from collections.abc import Iterable, Mapping

from services.gateway.routes import Group, Service
from services.gateway.routing.rules import group_entries, service_entries
from services.gateway.xds.clusters import cluster, endpoints
from services.gateway.xds.edge import NO_REACH, Reach
from services.gateway.xds.mirrors import mirror_resources
from services.gateway.xds.resource import Resource
from services.gateway.xds.scopes import scopes
from services.gateway.xds.tcp import tcp_resources


def service_resources(
    service: Service,
    domains: Iterable[str],
    group: Group | None = None,
    node: str = "",
    periods: Iterable[int] = (),
    reach: Reach = NO_REACH,
) -> list[Resource]:
    """Everything that one service needs. `group` is the one it is a member of, where that is known.

    For the gateway of a `node`, instances there come before all others. `periods` are those of web sessions.
    """
    built: list[Resource] = []
    for backend in service.backends:
        built.append(cluster(service, backend, reach))
        built.append(endpoints(service, backend, node))
    built += mirror_resources(service, reach)
    built += tcp_resources(service, reach)
    return built + scopes(service_entries(service, domains, group, periods))


def group_resources(group: Group, members: Mapping[str, Service], domains: Iterable[str]) -> list[Resource]:
    """Everything that a group needs beside what its members have."""
    return scopes(group_entries(group, members, domains))
