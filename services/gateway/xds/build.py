"""From what the gateway knows to what Envoy must have. Pure: equal input gives equal bytes."""

from collections.abc import Iterable

from services.gateway.routes import Service
from services.gateway.xds.clusters import cluster, endpoints
from services.gateway.xds.resource import Resource
from services.gateway.xds.scopes import scopes


def service_resources(service: Service, domains: Iterable[str]) -> list[Resource]:
    """Everything that one service needs; nothing in it depends on any other service."""
    built: list[Resource] = []
    for backend in service.backends:
        built.append(cluster(service, backend))
        built.append(endpoints(service, backend))
    return built + scopes(service, domains)
