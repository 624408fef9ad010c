"""Requests that wait for an instance: held by Envoy, which asks the gateway process when they may go on.

The filter stands in the chain switched off. The routes of a service that has no ready instance, and lets
requests wait, switch it on. Envoy sends what the request says of itself and nothing of its body: of that it
holds a buffer full, and lets the client send no more.
"""

from datetime import timedelta
from typing import Any

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLogFilter, AndFilter, ResponseFlagFilter
from envoy.config.core.v3.base_pb2 import DataSource, HeaderValue, HeaderValueOption
from envoy.config.core.v3.config_source_pb2 import ApiVersion
from envoy.config.core.v3.grpc_service_pb2 import GrpcService
from envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2 import CheckSettings, ExtAuthz, ExtAuthzPerRoute
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    ResponseMapper,
)
from envoy.type.matcher.v3.string_pb2 import ListStringMatcher, StringMatcher
from envoy.type.v3.http_status_pb2 import HttpStatus
from google.protobuf.wrappers_pb2 import BoolValue

from services.gateway.routes import Service
from services.gateway.routing.waiting import GATEWAY_AWAY, RETRY_AFTER
from services.gateway.xds.conditions import holds, speaks_grpc
from services.gateway.xds.wire import ADS_CLUSTER, bearer, packed, span

WAITING_FILTER = "easel.waiting"
# Envoy gives up on a gateway process that has not answered so long after it should have.
_MARGIN = timedelta(seconds=10)
_FLAG = ["UAEX"]


def waiting_filter() -> Any:
    """The filter as it stands in the chain, where it asks about nothing."""
    return packed(
        ExtAuthz(
            transport_api_version=ApiVersion.V3,
            grpc_service=_asking("", timedelta(0)),
            status_on_error=HttpStatus(code=503),
            # Whoever waited is led where the routes lead then.
            clear_route_cache=True,
            # Whom it refuses is counted as such, beside all that no version had: see refusals.py.
            charge_cluster_response_stats=BoolValue(value=False),
            # All that the gateway process needs to be told of the headers.
            allowed_headers=ListStringMatcher(patterns=[StringMatcher(exact="content-length")]),
        )
    )


def waiting(service: Service, group: str, token: str) -> dict[str, Any]:
    """What the routes of a service say of it, at the entry of a `group` where one is named."""
    if not service.holds or service.hold is None:
        return {}
    settings = CheckSettings(
        context_extensions={"service": service.name, **({"group": group} if group else {})},
        grpc_service=_asking(token, service.hold.within + _MARGIN),
    )
    return {WAITING_FILTER: packed(ExtAuthzPerRoute(check_settings=settings))}


def waiting_replies() -> list[Any]:
    """What is told to those that may not wait: what the gateway process says, or that it is away."""
    refused = AccessLogFilter(response_flag_filter=ResponseFlagFilter(flags=_FLAG))
    away = _both(refused, holds("response.code_details == 'ext_authz_error'"))
    again = HeaderValueOption(
        header=HeaderValue(key="retry-after", value=str(RETRY_AFTER)),
        append_action=HeaderValueOption.HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
    )
    sentence = DataSource(inline_string=GATEWAY_AWAY)
    replies = [
        ResponseMapper(filter=_both(away, speaks_grpc()), body=sentence, headers_to_add=[again]),
        ResponseMapper(filter=away, body=sentence, headers_to_add=[again]),
        ResponseMapper(filter=_both(refused, speaks_grpc())),
        ResponseMapper(filter=refused),
    ]
    for to_http in (replies[1], replies[3]):
        to_http.body_format_override.json_format.update({"code": 503, "message": "%LOCAL_REPLY_BODY%"})
    return replies


def _asking(token: str, within: timedelta) -> GrpcService:
    """At the address at which Envoy is told its routes, opened by the same token."""
    return GrpcService(
        envoy_grpc=GrpcService.EnvoyGrpc(cluster_name=ADS_CLUSTER),
        timeout=span(within),
        initial_metadata=bearer(token),
    )


def _both(one: Any, other: Any) -> Any:
    return AccessLogFilter(and_filter=AndFilter(filters=[one, other]))
