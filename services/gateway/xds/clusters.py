"""A cluster for each version of a service: how its instances are chosen, reached and given up on."""

from collections.abc import Iterable

from envoy.config.cluster.v3.circuit_breaker_pb2 import CircuitBreakers
from envoy.config.cluster.v3.cluster_pb2 import Cluster, UpstreamConnectionOptions
from envoy.config.cluster.v3.outlier_detection_pb2 import OutlierDetection
from envoy.config.core.v3.address_pb2 import TcpKeepalive
from envoy.config.core.v3.protocol_pb2 import Http1ProtocolOptions, Http2ProtocolOptions, HttpProtocolOptions
from envoy.config.endpoint.v3.endpoint_components_pb2 import Endpoint, LbEndpoint, LocalityLbEndpoints
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2 as upstream
from envoy.type.v3.percent_pb2 import Percent
from google.protobuf.wrappers_pb2 import UInt32Value

from services.gateway import routes
from services.gateway.routes import Backend, Service
from services.gateway.xds.edge import NO_REACH, Reach
from services.gateway.xds.limits import bound_in_flight
from services.gateway.xds.resource import CLUSTER, ENDPOINTS, Key, Resource, resource
from services.gateway.xds.tls import speak_tls
from services.gateway.xds.wire import from_ads, milliseconds, packed, socket

UPSTREAM = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_PLENTY = UInt32Value(value=1_000_000)
# Common servers close an idle connection after two to five seconds; Envoy does it first, so that no
# request meets a connection that is being closed.
_IDLE_HTTP1 = milliseconds(1_500)
_IDLE_HTTP2 = milliseconds(300_000)


def cluster_name(service: str, version: int) -> str:
    """The cluster of one version of a service."""
    return f"{service}/{version}"


def service_of(cluster: str) -> str:
    """The service that a cluster belongs to."""
    return cluster.rpartition("/")[0]


def versions_of(service: str, keys: Iterable[Key]) -> list[int]:
    """The versions of a service that have clusters among these, in order."""
    named = (each.name.rpartition("/") for each in keys if each.type_url == CLUSTER)
    return sorted(int(version) for owner, _, version in named if owner == service and version.isdigit())


def cluster(service: Service, backend: Backend, reach: Reach = NO_REACH) -> Resource:
    """How the instances of one version are reached. Does not depend on which instances there are, except that
    a bound on requests in flight is shared by their number."""
    name = cluster_name(service.name, backend.version)
    message = Cluster()
    message.CopyFrom(_HTTP2 if service.grpc else _HTTP1)
    message.name = name
    bound_in_flight(service, backend, message)
    speak_tls(message, reach)
    return resource(CLUSTER, name, message)


def endpoints(service: Service, backend: Backend, node: str = "") -> Resource:
    """Which instances of one version are ready; those on `node` come first where one is named."""
    return assignment(cluster_name(service.name, backend.version), backend, node)


def assignment(name: str, backend: Backend, node: str = "") -> Resource:
    """Which instances a cluster of this name has.

    On the gateway of a `node`, those elsewhere get requests only while there is none on the node. They are
    of the second rank also when the first is empty, so that nobody changes ranks as instances come and go.
    """
    ready = sorted(backend.endpoints, key=lambda each: (each.address, each.port))
    ranks = [[each for each in ready if (each.node == node) is here] for here in (True, False)]
    localities = [
        LocalityLbEndpoints(lb_endpoints=[_reached_at(each) for each in rank], priority=priority)
        for priority, rank in enumerate(ranks if node else [ready])
    ]
    return resource(
        ENDPOINTS, name, ClusterLoadAssignment(cluster_name=name, endpoints=localities if ready else [])
    )


def _reached_at(endpoint: routes.Endpoint) -> LbEndpoint:
    return LbEndpoint(endpoint=Endpoint(address=socket(endpoint.address, endpoint.port)))


def protocol(grpc: bool) -> upstream.HttpProtocolOptions:
    """How one request after the other, or many at once, are sent to an instance."""
    explicit = upstream.HttpProtocolOptions.ExplicitHttpConfig()
    if grpc:
        explicit.http2_protocol_options.CopyFrom(Http2ProtocolOptions())
    else:
        explicit.http_protocol_options.CopyFrom(Http1ProtocolOptions())
    idle = _IDLE_HTTP2 if grpc else _IDLE_HTTP1
    return upstream.HttpProtocolOptions(
        common_http_protocol_options=HttpProtocolOptions(idle_timeout=idle), explicit_http_config=explicit
    )


def _no_practical_limit() -> CircuitBreakers:
    limit = CircuitBreakers.Thresholds(
        max_connections=_PLENTY, max_pending_requests=_PLENTY, max_requests=_PLENTY, max_retries=_PLENTY
    )
    return CircuitBreakers(thresholds=[limit])


def _out_while_unreachable() -> OutlierDetection:
    """Leaves an instance out for a moment when it cannot be reached, never for what a model answers."""
    none, every = UInt32Value(value=0), UInt32Value(value=100)
    return OutlierDetection(
        split_external_local_origin_errors=True,
        consecutive_local_origin_failure=UInt32Value(value=3),
        enforcing_consecutive_local_origin_failure=every,
        enforcing_consecutive_5xx=none,
        enforcing_consecutive_gateway_failure=none,
        enforcing_success_rate=none,
        enforcing_local_origin_success_rate=none,
        # At each interval Envoy looks at every cluster on the thread that also applies changes; the more
        # seldom, the fewer changes wait for that. An instance that is out stays so until such a look.
        interval=milliseconds(5_000),
        base_ejection_time=milliseconds(1_000),
        max_ejection_time=milliseconds(10_000),
        # Below 100, so that the last instance is always tried.
        max_ejection_percent=UInt32Value(value=90),
    )


def _template(grpc: bool) -> Cluster:
    cluster = Cluster(
        type=Cluster.DiscoveryType.EDS,
        eds_cluster_config=Cluster.EdsClusterConfig(eds_config=from_ads()),
        connect_timeout=milliseconds(1_000),
        lb_policy=Cluster.LbPolicy.LEAST_REQUEST,
        per_connection_buffer_limit_bytes=UInt32Value(value=1024 * 1024),
        circuit_breakers=_no_practical_limit(),
        outlier_detection=_out_while_unreachable(),
        ignore_health_on_host_removal=True,
        upstream_connection_options=UpstreamConnectionOptions(
            tcp_keepalive=TcpKeepalive(
                keepalive_probes=UInt32Value(value=3),
                keepalive_time=UInt32Value(value=30),
                keepalive_interval=UInt32Value(value=5),
            )
        ),
        common_lb_config=Cluster.CommonLbConfig(
            healthy_panic_threshold=Percent(value=0),
            update_merge_window=milliseconds(0),
            ignore_new_hosts_until_first_hc=False,
        ),
    )
    cluster.typed_extension_protocol_options[UPSTREAM].CopyFrom(packed(protocol(grpc)))
    return cluster


_HTTP1, _HTTP2 = _template(grpc=False), _template(grpc=True)
