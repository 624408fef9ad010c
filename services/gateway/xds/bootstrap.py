"""What an Envoy is started with: where its configuration comes from, and which statistics it keeps."""

from dataclasses import dataclass
from typing import Any

from envoy.config.bootstrap.v3.bootstrap_pb2 import Admin, Bootstrap
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.backoff_pb2 import BackoffStrategy
from envoy.config.core.v3.base_pb2 import HeaderValue, Node, RetryPolicy
from envoy.config.core.v3.config_source_pb2 import ApiConfigSource, ApiVersion
from envoy.config.core.v3.grpc_service_pb2 import GrpcService
from envoy.config.core.v3.protocol_pb2 import Http2ProtocolOptions, KeepaliveSettings
from envoy.config.endpoint.v3.endpoint_components_pb2 import Endpoint, LbEndpoint, LocalityLbEndpoints
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.metrics.v3.stats_pb2 import StatsConfig, StatsMatcher
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2 as upstream
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from envoy.type.matcher.v3.string_pb2 import ListStringMatcher, StringMatcher
from google.protobuf.json_format import MessageToJson

from services.gateway.xds.listener import OTLP_CLUSTER
from services.gateway.xds.wire import address_of, from_ads, milliseconds, packed

ADS_CLUSTER = "easel_ads"
# What is counted; anything else costs memory and is not kept.
_OF_A_CLUSTER = (
    "upstream_rq_total",
    "upstream_rq_active",
    "upstream_rq_pending_active",
    "upstream_rq_time",
    "upstream_rq_[245]xx",
    "upstream_cx_active",
    "membership_total",
    "membership_healthy",
)
_OF_THE_LISTENER = (
    "downstream_rq_total",
    "downstream_rq_active",
    "downstream_rq_5xx",
    "downstream_cx_active",
)
KEPT_STATISTICS = (
    rf"cluster\.[^.]+\.({'|'.join(_OF_A_CLUSTER)})"
    rf"|http\.easel\.({'|'.join(_OF_THE_LISTENER)})"
    r"|control_plane\.connected_state|server\.(live|uptime)"
)


@dataclass(frozen=True)
class Dial:
    """What an Envoy needs in order to find its gateway."""

    node: str
    xds: str
    admin: str
    token: str = ""
    otlp: str = ""


def bootstrap(dial: Dial) -> str:
    """The bootstrap configuration as JSON."""
    message = Bootstrap(node=Node(id=dial.node, cluster="easel"), admin=Admin(address=address_of(dial.admin)))
    message.admin.ignore_global_conn_limit = True
    message.dynamic_resources.ads_config.CopyFrom(_stream(dial.token))
    message.dynamic_resources.cds_config.CopyFrom(from_ads())
    message.dynamic_resources.lds_config.CopyFrom(from_ads())
    message.static_resources.clusters.append(_grpc_cluster(ADS_CLUSTER, dial.xds))
    if dial.otlp:
        address = dial.otlp.removeprefix("http://").rstrip("/")
        message.static_resources.clusters.append(_grpc_cluster(OTLP_CLUSTER, address))
    message.stats_config.CopyFrom(_statistics())
    message.deferred_stat_options.enable_deferred_creation_stats = True
    text: str = MessageToJson(message, preserving_proto_field_name=True)
    return text


def _stream(token: str) -> Any:
    """One delta stream; an Envoy that lost it tries again within a second."""
    again = RetryPolicy(
        retry_back_off=BackoffStrategy(base_interval=milliseconds(100), max_interval=milliseconds(1_000))
    )
    service = GrpcService(envoy_grpc=GrpcService.EnvoyGrpc(cluster_name=ADS_CLUSTER, retry_policy=again))
    if token:
        service.initial_metadata.append(HeaderValue(key="authorization", value=f"Bearer {token}"))
    return ApiConfigSource(
        api_type=ApiConfigSource.ApiType.DELTA_GRPC,
        transport_api_version=ApiVersion.V3,
        grpc_services=[service],
        set_node_on_first_message_only=True,
    )


def _grpc_cluster(name: str, address: str) -> Any:
    place = LbEndpoint(endpoint=Endpoint(address=address_of(address)))
    by_name = not address.startswith("unix:")
    ping = KeepaliveSettings(interval=milliseconds(5_000), timeout=milliseconds(3_000))
    explicit = upstream.HttpProtocolOptions.ExplicitHttpConfig(
        http2_protocol_options=Http2ProtocolOptions(connection_keepalive=ping)
    )
    cluster = Cluster(
        name=name,
        type=Cluster.DiscoveryType.STRICT_DNS if by_name else Cluster.DiscoveryType.STATIC,
        connect_timeout=milliseconds(1_000),
        load_assignment=ClusterLoadAssignment(
            cluster_name=name, endpoints=[LocalityLbEndpoints(lb_endpoints=[place])]
        ),
    )
    options = upstream.HttpProtocolOptions(explicit_http_config=explicit)
    cluster.typed_extension_protocol_options[
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    ].CopyFrom(packed(options))
    return cluster


def _statistics() -> Any:
    kept = ListStringMatcher(patterns=[StringMatcher(safe_regex=RegexMatcher(regex=KEPT_STATISTICS))])
    return StatsConfig(stats_matcher=StatsMatcher(inclusion_list=kept))
