"""The HTTP filters that a request may pass through, in their order.

Those of the whole gateway are there only where its settings ask for them. All others are off until a route
turns them on, so that a feature costs nothing where no service uses it.
"""

from collections.abc import Callable
from typing import Any

from envoy.config.route.v3.route_components_pb2 import FilterConfig
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from xds.type.v3.typed_struct_pb2 import TypedStruct

from services.gateway.routes import Service
from services.gateway.xds.auth import SIGNATURE_FILTER, signature_check
from services.gateway.xds.edge import Edge
from services.gateway.xds.grpc import (
    CORS_FILTER,
    STATS_FILTER,
    WEB_FILTER,
    cors_filter,
    stats_filter,
    web_filter,
)
from services.gateway.xds.limits import RATE_FILTER, rate_filter
from services.gateway.xds.networks import turned_away
from services.gateway.xds.samples import SAMPLE_FILTER, sample_filter
from services.gateway.xds.waiting import WAITING_FILTER, waiting_filter
from services.gateway.xds.wire import packed

BODY_FILTER = "envoy.filters.http.body_size_limit"
_BODY_LIMIT = "type.googleapis.com/envoy.extensions.filters.http.body_size_limit.v3.BodySizeLimit"
# Name and configuration of each filter that routes turn on by `typed_per_filter_config`.
BY_ROUTE: tuple[tuple[str, Callable[[], Any]], ...] = (
    (CORS_FILTER, cors_filter),
    (WEB_FILTER, web_filter),
    (SIGNATURE_FILTER, signature_check),
    # After the signature, so that nobody without a token takes from a service's rate.
    (RATE_FILTER, rate_filter),
    # After both, so that nobody without a token, or beyond the rate, wakes a service.
    (WAITING_FILTER, waiting_filter),
    (STATS_FILTER, stats_filter),
    # Last, so that it sees what instances see.
    (SAMPLE_FILTER, sample_filter),
)


def http_filters(edge: Edge, *, limited: bool = True) -> list[Any]:
    """The chain: who may call, how much, what a route turned on, and the router."""
    chain: list[Any] = []
    rules = turned_away(edge.settings.allow, edge.settings.deny)
    if rules is not None:
        networks = rbac_pb2.RBAC(rules=rules)
        chain.append(hcm.HttpFilter(name="envoy.filters.http.rbac", typed_config=packed(networks)))
    if edge.body_limit and limited:
        chain.append(_body_limit(edge.body_limit))
    for name, make in BY_ROUTE:
        chain.append(hcm.HttpFilter(name=name, typed_config=make(), disabled=True))
    return [*chain, _router()]


def body_exemption(service: Service) -> dict[str, Any]:
    """gRPC has bounds of its own, and its streams no end: the body limit is no matter of theirs."""
    return {BODY_FILTER: packed(FilterConfig(disabled=True))} if service.grpc else {}


def _body_limit(most: int) -> Any:
    """Counts what passes and holds nothing back. Named by its fields: the package of protos lacks its own."""
    config = TypedStruct(type_url=_BODY_LIMIT)
    config.value.update({"max_request_bytes": most})
    return hcm.HttpFilter(name=BODY_FILTER, typed_config=packed(config))


def _router() -> Any:
    return hcm.HttpFilter(
        name="envoy.filters.http.router", typed_config=packed(Router(suppress_envoy_headers=True))
    )
