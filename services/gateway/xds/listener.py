"""The listeners that clients reach: a plain one, and one with TLS where that is asked for."""

from envoy.config.listener.v3.listener_components_pb2 import (
    Filter,
    FilterChain,
    FilterChainMatch,
    ListenerFilter,
)
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2 import TlsInspector
from envoy.extensions.filters.network.connection_limit.v3.connection_limit_pb2 import ConnectionLimit
from google.protobuf.wrappers_pb2 import UInt32Value, UInt64Value

from services.gateway.xds import bounds
from services.gateway.xds.edge import Edge
from services.gateway.xds.manager import connection_manager, redirecting_manager
from services.gateway.xds.resource import LISTENER, Resource, resource
from services.gateway.xds.tls import secret, transport_socket, upstream_secrets
from services.gateway.xds.wire import packed, socket, span, vanished_peers_are_noticed

LISTENER_NAME = "easel"
TLS_LISTENER_NAME = "easel-tls"


def edge_resources(edge: Edge) -> list[Resource]:
    """Everything that clients come in by, whichever services there are."""
    built = [*upstream_secrets(edge.settings), listener(edge)]
    if edge.tls:
        built.append(_tls_listener(edge))
        built += [secret(domain, pair) for domain, pair in sorted(edge.key_pairs.items())]
    return built


def listener(edge: Edge) -> Resource:
    """The plain one. It opens when the first scopes are there."""
    manager = redirecting_manager(edge) if edge.arrival.redirect_port else connection_manager(edge)
    message = _listener(LISTENER_NAME, edge.host, edge.port)
    message.filter_chains.append(FilterChain(filters=[*_connection_limit(edge), manager]))
    return resource(LISTENER, LISTENER_NAME, message)


def _tls_listener(edge: Edge) -> Resource:
    """A filter chain for each domain, so that one certificate is changed without touching the others."""
    inspector = ListenerFilter(
        name="envoy.filters.listener.tls_inspector", typed_config=packed(TlsInspector())
    )
    message = _listener(TLS_LISTENER_NAME, edge.host, edge.settings.tls_port)
    message.listener_filters.append(inspector)
    message.listener_filters_timeout.CopyFrom(span(bounds.HANDSHAKE_WITHIN))
    for domain in sorted(edge.key_pairs):
        message.filter_chains.append(
            FilterChain(
                name=domain,
                filter_chain_match=FilterChainMatch(server_names=[domain, f"*.{domain}"]),
                filters=[*_connection_limit(edge), connection_manager(edge)],
                transport_socket=transport_socket(domain),
                transport_socket_connect_timeout=span(bounds.HANDSHAKE_WITHIN),
            )
        )
    return resource(LISTENER, TLS_LISTENER_NAME, message)


def _listener(name: str, host: str, port: int) -> Listener:
    return Listener(
        name=name,
        address=socket(host, port),
        per_connection_buffer_limit_bytes=UInt32Value(value=bounds.BUFFER_BYTES),
        socket_options=vanished_peers_are_noticed(),
    )


def _connection_limit(edge: Edge) -> list[Filter]:
    """Connections beyond are closed as they come. Nothing where no bound was set."""
    if not edge.settings.max_connections:
        return []
    limit = ConnectionLimit(
        stat_prefix="easel", max_connections=UInt64Value(value=edge.settings.max_connections)
    )
    return [Filter(name="envoy.filters.network.connection_limit", typed_config=packed(limit))]
