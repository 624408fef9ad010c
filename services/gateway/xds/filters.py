"""The HTTP filters that a request may pass through, in their order.

All but those of the whole gateway are off until a route turns them on, so that a feature costs nothing where
no service uses it.
"""

from collections.abc import Callable
from typing import Any

from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from services.gateway.xds.auth import SIGNATURE_FILTER, signature_check
from services.gateway.xds.wire import packed

# Name and configuration of each filter that routes turn on by `typed_per_filter_config`.
BY_ROUTE: tuple[tuple[str, Callable[[], Any]], ...] = ((SIGNATURE_FILTER, signature_check),)


def http_filters() -> list[Any]:
    """The chain: what a route may turn on, then the router."""
    by_route = [hcm.HttpFilter(name=name, typed_config=make(), disabled=True) for name, make in BY_ROUTE]
    return [*by_route, _router()]


def _router() -> Any:
    return hcm.HttpFilter(
        name="envoy.filters.http.router", typed_config=packed(Router(suppress_envoy_headers=True))
    )
