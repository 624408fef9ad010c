"""Ports at which TCP is handed on, byte for byte, to where clients reach a service directly."""

from ipaddress import ip_address

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.endpoint.v3.endpoint_components_pb2 import Endpoint, LbEndpoint, LocalityLbEndpoints
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_components_pb2 import Filter, FilterChain, FilterChainMatch
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy
from google.protobuf.wrappers_pb2 import BoolValue, UInt32Value

from services.gateway.routes import Service
from services.gateway.xds import bounds
from services.gateway.xds.edge import Reach
from services.gateway.xds.networks import let_in
from services.gateway.xds.resource import CLUSTER, ENDPOINTS, LISTENER, Resource, resource
from services.gateway.xds.wire import from_ads, milliseconds, packed, socket, span, vanished_peers_are_noticed


def tcp_resources(service: Service, reach: Reach) -> list[Resource]:
    """A listener for each port, and one cluster for all of them. Nothing for a service without such ports."""
    if not service.tcp_listeners:
        return []
    name = f"{service.name}/tcp"
    ports = sorted({each.port for each in service.tcp_listeners})
    return [*_cluster(service, name), *(_listener(service, name, port, reach) for port in ports)]


def _cluster(service: Service, name: str) -> list[Resource]:
    """Addresses are sent as endpoints. Names stand in the cluster, since it is Envoy that resolves them."""
    message = Cluster(
        name=name,
        connect_timeout=milliseconds(1_000),
        lb_policy=Cluster.LbPolicy.ROUND_ROBIN,
        per_connection_buffer_limit_bytes=UInt32Value(value=bounds.BUFFER_BYTES),
    )
    places = [
        LbEndpoint(
            endpoint=Endpoint(address=socket(each.address, each.port)),
            load_balancing_weight=UInt32Value(value=each.weight),
        )
        for each in sorted(service.direct, key=lambda each: (each.address, each.port))
    ]
    localities = [LocalityLbEndpoints(lb_endpoints=places)] if places else []
    assignment = ClusterLoadAssignment(cluster_name=name, endpoints=localities)
    if all(_is_address(each.address) for each in service.direct):
        message.type = Cluster.DiscoveryType.EDS
        message.eds_cluster_config.eds_config.CopyFrom(from_ads())
        return [resource(CLUSTER, name, message), resource(ENDPOINTS, name, assignment)]
    message.type = Cluster.DiscoveryType.STRICT_DNS
    message.dns_lookup_family = Cluster.DnsLookupFamily.V4_PREFERRED
    message.load_assignment.CopyFrom(assignment)
    return [resource(CLUSTER, name, message)]


def _listener(service: Service, cluster: str, port: int, reach: Reach) -> Resource:
    proxy = TcpProxy(stat_prefix="easel_tcp", cluster=cluster, idle_timeout=span(bounds.TCP_IDLE))
    handed_on = Filter(name="envoy.filters.network.tcp_proxy", typed_config=packed(proxy))
    name = f"tcp/{service.name}/{port}"
    # Who is in no range finds the connection closed, before anything is said in either direction.
    welcome = FilterChainMatch(source_prefix_ranges=let_in(reach.allow, reach.deny))
    message = Listener(
        name=name,
        address=socket(reach.host, port),
        filter_chains=[FilterChain(filter_chain_match=welcome, filters=[handed_on])],
        per_connection_buffer_limit_bytes=UInt32Value(value=bounds.BUFFER_BYTES),
        socket_options=vanished_peers_are_noticed(),
        # One socket for all workers: the kernel then refuses the port where another program has it, and few
        # long connections are spread evenly.
        enable_reuse_port=BoolValue(value=False),
        connection_balance_config=Listener.ConnectionBalanceConfig(
            exact_balance=Listener.ConnectionBalanceConfig.ExactBalance()
        ),
    )
    return resource(LISTENER, name, message, needs=(cluster,))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
