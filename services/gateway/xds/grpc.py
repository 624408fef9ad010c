"""What entries of gRPC services have beside others: statistics by status, and gRPC-Web for browsers."""

from collections.abc import Iterable
from typing import Any

from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.config.route.v3.route_components_pb2 import (
    FilterConfig,
    HeaderMatcher,
    Route,
    RouteAction,
    RouteMatch,
)
from envoy.extensions.filters.http.cors.v3.cors_pb2 import Cors, CorsPolicy
from envoy.extensions.filters.http.grpc_stats.v3.config_pb2 import FilterConfig as GrpcStats
from envoy.extensions.filters.http.grpc_web.v3.grpc_web_pb2 import GrpcWeb
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from envoy.type.matcher.v3.string_pb2 import StringMatcher
from google.protobuf.wrappers_pb2 import BoolValue

from services.gateway.routes import Service
from services.gateway.routing.rules import SCOPE_HEADER
from services.gateway.xds.wire import packed

CORS_FILTER = "envoy.filters.http.cors"
WEB_FILTER = "envoy.filters.http.grpc_web"
STATS_FILTER = "envoy.filters.http.grpc_stats"
_ASKED_METHOD = "access-control-request-method"


def cors_filter() -> Any:
    """Answers preflight requests, before anybody asks for a token: browsers send none with them."""
    return packed(Cors())


def web_filter() -> Any:
    """Turns gRPC-Web into gRPC and back."""
    return packed(GrpcWeb())


def stats_filter() -> Any:
    """Counts calls of a cluster by their grpc-status, whatever the method."""
    return packed(GrpcStats(stats_for_all_methods=BoolValue(value=False)))


def grpc_filters(services: Iterable[Service]) -> dict[str, Any]:
    """The filters of an entry that leads to a gRPC service; empty where it leads to none."""
    if not any(service.grpc for service in services):
        return {}
    on = FilterConfig()
    on.config.SetInParent()
    return {CORS_FILTER: _pages_of_any_origin(), WEB_FILTER: packed(on), STATS_FILTER: packed(on)}


def preflight(place: RouteMatch) -> Route:
    """The route of what the CORS filter answers: it looks at no route that answers by itself.

    Should the filter leave a request alone, it finds nobody: the header, which the gateway itself writes,
    begins with a slash, as no cluster does.
    """
    match = RouteMatch(headers=[_has(":method", exact="OPTIONS"), _has("origin"), _has(_ASKED_METHOD)])
    match.MergeFrom(place)
    return Route(match=match, route=RouteAction(cluster_header=SCOPE_HEADER))


def readable_anywhere() -> list[Any]:
    """What lets a page read an answer that the CORS filter does not see."""
    values = {"access-control-allow-origin": "*", "access-control-expose-headers": "*"}
    return [HeaderValueOption(header=HeaderValue(key=name, value=value)) for name, value in values.items()]


def _has(name: str, **match: str) -> HeaderMatcher:
    anything = StringMatcher(safe_regex=RegexMatcher(regex=".+"))
    return HeaderMatcher(name=name, string_match=StringMatcher(**match) if match else anything)


def _pages_of_any_origin() -> Any:
    """Tokens protect a service, not where a page comes from; cookies are not sent across origins."""
    anywhere = StringMatcher(safe_regex=RegexMatcher(regex=".*"))
    return packed(
        CorsPolicy(
            allow_origin_string_match=[anywhere],
            allow_methods="POST",
            # The star does not cover authorization.
            allow_headers="authorization,*",
            expose_headers="*",
            max_age="86400",
        )
    )
