"""What an Envoy is started with: where its configuration comes from, and which statistics it keeps."""

from dataclasses import dataclass
from typing import Any

from envoy.config.bootstrap.v3.bootstrap_pb2 import Admin, Bootstrap
from envoy.config.cluster.v3.circuit_breaker_pb2 import CircuitBreakers
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.backoff_pb2 import BackoffStrategy
from envoy.config.core.v3.base_pb2 import Node, RetryPolicy
from envoy.config.core.v3.config_source_pb2 import ApiConfigSource, ApiVersion
from envoy.config.core.v3.grpc_service_pb2 import GrpcService
from envoy.config.core.v3.protocol_pb2 import Http2ProtocolOptions, KeepaliveSettings
from envoy.config.endpoint.v3.endpoint_components_pb2 import Endpoint, LbEndpoint, LocalityLbEndpoints
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.metrics.v3.metrics_service_pb2 import HistogramEmitMode, MetricsServiceConfig
from envoy.config.metrics.v3.stats_pb2 import HistogramBucketSettings, StatsConfig, StatsMatcher, StatsSink
from envoy.config.overload.v3.overload_pb2 import (
    OverloadAction,
    OverloadManager,
    ResourceMonitor,
    ScaledTrigger,
    ScaleTimersOverloadActionConfig,
    ThresholdTrigger,
    Trigger,
)
from envoy.extensions.resource_monitors.downstream_connections.v3.downstream_connections_pb2 import (
    DownstreamConnectionsConfig,
)
from envoy.extensions.resource_monitors.fixed_heap.v3.fixed_heap_pb2 import FixedHeapConfig
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2 as upstream
from envoy.type.matcher.v3.regex_pb2 import RegexMatcher
from envoy.type.matcher.v3.string_pb2 import ListStringMatcher, StringMatcher
from google.protobuf.json_format import MessageToJson
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

from services.gateway.xds import bounds
from services.gateway.xds.manager import OTLP_CLUSTER
from services.gateway.xds.wire import ADS_CLUSTER, address_of, bearer, from_ads, milliseconds, packed

METRICS_CLUSTER = "easel_metrics"
_HEAP_MONITOR = "envoy.resource_monitors.fixed_heap"
# Families of numbers in one message, far below what a message may hold.
_BATCH = 1_000
# Calls at once over a cluster of the gateway's own, such as requests that wait for an instance.
_PLENTY = UInt32Value(value=1_000_000)
_NO_PRACTICAL_LIMIT = CircuitBreakers.Thresholds(
    max_connections=_PLENTY, max_pending_requests=_PLENTY, max_requests=_PLENTY
)
_CONNECTIONS_MONITOR = "envoy.resource_monitors.global_downstream_max_connections"
# A fifth from each other where most requests end, so that a fifth more can be told; Envoy counts whole
# milliseconds.
LATENCY_BOUNDS_MS = (
    *(1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 17, 20, 24, 29, 35, 42, 50, 60, 72, 86),
    *(100, 120, 140, 170, 200, 240, 290, 350, 420, 500, 600, 720, 860),
    *(1_000, 1_200, 1_400, 1_700, 2_000, 2_400, 2_900, 3_500, 4_200, 5_000, 7_000),
    *(10_000, 20_000, 30_000, 60_000, 120_000, 300_000, 600_000),
)
# What is counted; anything else costs memory and is not kept.
_OF_A_CLUSTER = (
    "upstream_rq_total",
    "upstream_rq_completed",
    "upstream_rq_active",
    "upstream_rq_active_overflow",
    "upstream_rq_per_try_timeout",
    "upstream_rq_pending_active",
    "upstream_rq_time",
    "upstream_rq_[2345]xx",
    "upstream_cx_[rt]x_bytes_total",
    r"grpc\.(success|failure|[0-9]+)",
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
    r"|easel\.refused\..*"
    # How often a token let a request in.
    r"|vhost\..*\.route\..*\.upstream_rq_total"
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
    # Bounds on what it takes in memory, and on connections of clients; 0 for none.
    max_heap_mib: int = 0
    max_connections: int = 0
    # Where what it counts is sent to, and the token that opens that; empty for nowhere, and for none.
    metrics: str = ""
    metrics_token: str = ""


def bootstrap(dial: Dial) -> str:
    """The bootstrap configuration as JSON."""
    message = Bootstrap(node=Node(id=dial.node, cluster="easel"), admin=Admin(address=address_of(dial.admin)))
    message.admin.ignore_global_conn_limit = True
    if dial.admin.startswith("unix:"):
        # Whoever can connect there can read the tokens of all services.
        message.admin.address.pipe.mode = 0o600
    message.dynamic_resources.ads_config.CopyFrom(_stream(dial.token))
    message.dynamic_resources.cds_config.CopyFrom(from_ads())
    message.dynamic_resources.lds_config.CopyFrom(from_ads())
    message.static_resources.clusters.append(_grpc_cluster(ADS_CLUSTER, dial.xds))
    if dial.otlp:
        address = dial.otlp.removeprefix("http://").rstrip("/")
        message.static_resources.clusters.append(_grpc_cluster(OTLP_CLUSTER, address))
    if dial.max_heap_mib or dial.max_connections:
        message.overload_manager.CopyFrom(_overload_manager(dial))
    message.stats_config.CopyFrom(_statistics())
    if dial.metrics:
        message.static_resources.clusters.append(_grpc_cluster(METRICS_CLUSTER, dial.metrics))
        message.stats_sinks.append(_pushing(dial.metrics_token))
        message.stats_flush_interval.CopyFrom(milliseconds(1_000))
    message.deferred_stat_options.enable_deferred_creation_stats = True
    text: str = MessageToJson(message, preserving_proto_field_name=True)
    return text


def _stream(token: str) -> Any:
    """One delta stream; an Envoy that lost it tries again within a second."""
    again = RetryPolicy(
        retry_back_off=BackoffStrategy(base_interval=milliseconds(100), max_interval=milliseconds(1_000))
    )
    service = GrpcService(envoy_grpc=GrpcService.EnvoyGrpc(cluster_name=ADS_CLUSTER, retry_policy=again))
    service.initial_metadata.extend(bearer(token))
    return ApiConfigSource(
        api_type=ApiConfigSource.ApiType.DELTA_GRPC,
        transport_api_version=ApiVersion.V3,
        grpc_services=[service],
        set_node_on_first_message_only=True,
    )


def _pushing(token: str) -> StatsSink:
    """Counters are sums since the start, so that a lost message loses nothing of them; a histogram is of the
    time since the message before."""
    config = MetricsServiceConfig(
        transport_api_version=ApiVersion.V3,
        grpc_service=GrpcService(
            envoy_grpc=GrpcService.EnvoyGrpc(cluster_name=METRICS_CLUSTER), initial_metadata=bearer(token)
        ),
        report_counters_as_deltas=BoolValue(value=False),
        emit_tags_as_labels=False,
        histogram_emit_mode=HistogramEmitMode.HISTOGRAM,
        batch_size=_BATCH,
    )
    return StatsSink(name="envoy.stat_sinks.metrics_service", typed_config=packed(config))


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
        circuit_breakers=CircuitBreakers(thresholds=[_NO_PRACTICAL_LIMIT]),
        load_assignment=ClusterLoadAssignment(
            cluster_name=name, endpoints=[LocalityLbEndpoints(lb_endpoints=[place])]
        ),
    )
    options = upstream.HttpProtocolOptions(explicit_http_config=explicit)
    cluster.typed_extension_protocol_options[
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    ].CopyFrom(packed(options))
    return cluster


def _overload_manager(dial: Dial) -> Any:
    """Near the end of its memory Envoy hurries idle clients, then gives memory back, then takes no more."""
    manager = OverloadManager(refresh_interval=milliseconds(250))
    if dial.max_connections:
        most = DownstreamConnectionsConfig(max_active_downstream_connections=dial.max_connections)
        monitor = ResourceMonitor(name=_CONNECTIONS_MONITOR, typed_config=packed(most))
        manager.resource_monitors.append(monitor)
    if dial.max_heap_mib:
        heap = FixedHeapConfig(max_heap_size_bytes=dial.max_heap_mib * 1024 * 1024)
        manager.resource_monitors.append(ResourceMonitor(name=_HEAP_MONITOR, typed_config=packed(heap)))
        manager.actions.append(_hurry())
        for name, share in (
            ("shrink_heap", bounds.HEAP_SHRINK),
            ("stop_accepting_requests", bounds.HEAP_REFUSE),
        ):
            trigger = Trigger(name=_HEAP_MONITOR, threshold=ThresholdTrigger(value=share))
            manager.actions.append(OverloadAction(name=f"envoy.overload_actions.{name}", triggers=[trigger]))
    return manager


def _hurry() -> Any:
    """The fuller the heap, the sooner an idle connection is closed."""
    idle = ScaleTimersOverloadActionConfig.TimerType.HTTP_DOWNSTREAM_CONNECTION_IDLE
    timer = ScaleTimersOverloadActionConfig.ScaleTimer(timer=idle, min_timeout=milliseconds(2_000))
    begin, end = bounds.HEAP_HURRY
    scaled = ScaledTrigger(scaling_threshold=begin, saturation_threshold=end)
    return OverloadAction(
        name="envoy.overload_actions.reduce_timeouts",
        triggers=[Trigger(name=_HEAP_MONITOR, scaled=scaled)],
        typed_config=packed(ScaleTimersOverloadActionConfig(timer_scale_factors=[timer])),
    )


def _statistics() -> Any:
    kept = ListStringMatcher(patterns=[StringMatcher(safe_regex=RegexMatcher(regex=KEPT_STATISTICS))])
    latency = HistogramBucketSettings(
        match=StringMatcher(suffix="upstream_rq_time"), buckets=LATENCY_BOUNDS_MS
    )
    return StatsConfig(stats_matcher=StatsMatcher(inclusion_list=kept), histogram_bucket_settings=[latency])
