"""How requests are read, whichever listener they come in by: HTTP/1.1, HTTP/2 and WebSocket alike."""

from typing import Any

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog
from envoy.config.common.mutation_rules.v3.mutation_rules_pb2 import HeaderMutation
from envoy.config.core.v3.address_pb2 import CidrRange
from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.core.v3.grpc_service_pb2 import GrpcService
from envoy.config.core.v3.protocol_pb2 import Http2ProtocolOptions, HttpProtocolOptions
from envoy.config.core.v3.substitution_format_string_pb2 import SubstitutionFormatString
from envoy.config.listener.v3.listener_components_pb2 import Filter
from envoy.config.route.v3.route_components_pb2 import RedirectAction, Route, RouteMatch
from envoy.config.trace.v3.http_tracer_pb2 import Tracing
from envoy.config.trace.v3.opentelemetry_pb2 import OpenTelemetryConfig
from envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.extensions.http.early_header_mutation.header_mutation.v3 import header_mutation_pb2 as early
from envoy.type.v3.percent_pb2 import Percent
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

from services.gateway.routing.front import FRONT_KEY, FRONT_PATHS, PLAIN_PATHS
from services.gateway.routing.rules import HOST_MARK, PREFIX, SCOPE_HEADER, SERVICE_HEADER
from services.gateway.xds import bounds
from services.gateway.xds.edge import Edge
from services.gateway.xds.filters import http_filters
from services.gateway.xds.front import front_table
from services.gateway.xds.mirrors import MIRROR_HEADER
from services.gateway.xds.refusals import counted_refusals
from services.gateway.xds.replies import local_replies
from services.gateway.xds.wire import from_ads, milliseconds, packed, span

OTLP_CLUSTER = "easel_otlp"
_MANAGER = "envoy.filters.network.http_connection_manager"
_ALWAYS = HeaderValueOption.HeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD
_IF_THERE = HeaderValueOption.HeaderAppendAction.OVERWRITE_IF_EXISTS


def connection_manager(edge: Edge) -> Filter:
    """Serves what the scopes say."""
    manager = _manager(edge)
    manager.scoped_routes.CopyFrom(_scoped_routes())
    manager.early_header_mutation_extensions.append(_scope_header(edge.domain))
    websocket = hcm.HttpConnectionManager.UpgradeConfig(upgrade_type="websocket")
    if edge.body_limit:
        # What a WebSocket carries is no body.
        websocket.filters.extend(http_filters(edge, limited=False))
    manager.upgrade_configs.append(websocket)
    if edge.traces:
        manager.tracing.CopyFrom(_tracing(edge.trace_percent))
    return Filter(name=_MANAGER, typed_config=packed(manager))


def redirecting_manager(edge: Edge) -> Filter:
    """Sends every request but discovery to the port with TLS, under the same host, path and method."""
    to_tls = RedirectAction(
        https_redirect=True,
        port_redirect=edge.arrival.redirect_port,
        response_code=RedirectAction.RedirectResponseCode.PERMANENT_REDIRECT,
    )
    everything = Route(match=RouteMatch(prefix="/"), redirect=to_tls)
    table = front_table("redirect", PLAIN_PATHS, everything)
    # The listener may be there a moment before the cluster.
    table.validate_clusters.CopyFrom(BoolValue(value=False))
    manager = _manager(edge)
    manager.route_config.CopyFrom(table)
    return Filter(name=_MANAGER, typed_config=packed(manager))


def _manager(edge: Edge) -> Any:
    manager = hcm.HttpConnectionManager(
        stat_prefix="easel",
        server_name="easel",
        server_header_transformation=hcm.HttpConnectionManager.PASS_THROUGH,
        http_filters=http_filters(edge),
        local_reply_config=local_replies(edge.arrival.body_limit),
        common_http_protocol_options=HttpProtocolOptions(
            idle_timeout=span(bounds.IDLE_CONNECTION),
            max_headers_count=UInt32Value(value=bounds.HEADERS_COUNT),
        ),
        http2_protocol_options=Http2ProtocolOptions(
            max_concurrent_streams=UInt32Value(value=bounds.STREAMS),
            initial_stream_window_size=UInt32Value(value=bounds.STREAM_WINDOW_BYTES),
            initial_connection_window_size=UInt32Value(value=bounds.CONNECTION_WINDOW_BYTES),
            allow_connect=True,
        ),
        # Nobody but the gateway itself may set the x-envoy-* headers that steer a request.
        use_remote_address=BoolValue(value=True),
        internal_address_config=_no_client_is_internal(),
        preserve_external_request_id=True,
        max_request_headers_kb=UInt32Value(value=bounds.HEADERS_KIB),
        # A stream may be silent for as long as it likes; what bounds a request is in its scope.
        stream_idle_timeout=milliseconds(0),
        stream_flush_timeout=span(bounds.FLUSH_WITHIN),
        request_headers_timeout=span(bounds.HEADERS_WITHIN),
        request_timeout=span(edge.request_within),
    )
    manager.access_log.append(counted_refusals())
    if edge.access_log:
        manager.access_log.append(_access_log(edge.access_log))
    return manager


def _no_client_is_internal() -> Any:
    """An empty list would mean every private network; nobody calls from this address."""
    nobody = CidrRange(address_prefix="255.255.255.255", prefix_len=UInt32Value(value=32))
    return hcm.HttpConnectionManager.InternalAddressConfig(cidr_ranges=[nobody])


def _scoped_routes() -> Any:
    """A scope is found by the fourth element of the header that `_scope_header` computes."""
    build = hcm.ScopedRoutes.ScopeKeyBuilder
    extract = build.FragmentBuilder.HeaderValueExtractor
    element = extract(name=SCOPE_HEADER, element_separator="/", index=3)
    return hcm.ScopedRoutes(
        name="easel",
        scope_key_builder=build(fragments=[build.FragmentBuilder(header_value_extractor=element)]),
        scoped_rds=hcm.ScopedRds(scoped_rds_config_source=from_ads()),
    )


def _scope_header(domain: str) -> Any:
    """Makes the header that scopes are found by; whatever a client sends under this name is replaced.

    What tells copies from requests is the gateway's to say as well: it is taken out of what clients send.

    It is the path where that names a service, and otherwise the host name in the same place. No path can
    hold the mark that tells the two apart: Envoy refuses paths with a fragment.
    """
    to_front = " || ".join(f"request.path.startsWith('{path}')" for path in FRONT_PATHS)
    elsewhere = f"{to_front} ? '/-/-/{FRONT_KEY}' : '/-/-'"
    path = f"%CEL(request.path.startsWith('{PREFIX}') ? request.url_path : {elsewhere})%"
    mutations = [
        HeaderMutation(remove=MIRROR_HEADER),
        # A client that names a service is treated as one that calls the service's host name.
        _set(SERVICE_HEADER, f"%REQ({SERVICE_HEADER})%.{domain}", _IF_THERE),
        _set(SCOPE_HEADER, f"{path}/{HOST_MARK}%REQ({SERVICE_HEADER}?:authority)%", _ALWAYS),
    ]
    return TypedExtensionConfig(
        name="envoy.http.early_header_mutation.header_mutation",
        typed_config=packed(early.HeaderMutation(mutations=mutations)),
    )


def _set(name: str, value: str, when: Any) -> Any:
    header = HeaderValueOption(header=HeaderValue(key=name, value=value), append_action=when)
    return HeaderMutation(append=header)


def _access_log(path: str) -> Any:
    line = SubstitutionFormatString()
    line.json_format.update(
        {
            "time": "%START_TIME%",
            "method": "%REQ(:METHOD)%",
            "path": "%REQ(:PATH)%",
            "status": "%RESPONSE_CODE%",
            "flags": "%RESPONSE_FLAGS%",
            "milliseconds": "%DURATION%",
            "received": "%BYTES_RECEIVED%",
            "sent": "%BYTES_SENT%",
            "upstream": "%UPSTREAM_CLUSTER%",
            "instance": "%UPSTREAM_HOST%",
            "client": "%DOWNSTREAM_REMOTE_ADDRESS%",
            "request_id": "%REQ(X-REQUEST-ID)%",
        }
    )
    return AccessLog(
        name="envoy.access_loggers.file", typed_config=packed(FileAccessLog(path=path, log_format=line))
    )


def _tracing(percent: float) -> Any:
    collector = GrpcService(envoy_grpc=GrpcService.EnvoyGrpc(cluster_name=OTLP_CLUSTER))
    config = OpenTelemetryConfig(grpc_service=collector, service_name="easel-envoy")
    provider = Tracing.Http(name="envoy.tracers.opentelemetry", typed_config=packed(config))
    return hcm.HttpConnectionManager.Tracing(provider=provider, random_sampling=Percent(value=percent))
