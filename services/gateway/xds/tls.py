"""Certificates toward clients, and toward instances: each is a secret that Envoy asks for by name.

A new certificate is a new secret; the listener and its connections stay as they are.
"""

from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.base_pb2 import DataSource, TransportSocket
from envoy.extensions.transport_sockets.tls.v3.common_pb2 import (
    CertificateValidationContext,
    TlsCertificate,
    TlsParameters,
)
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import SdsSecretConfig, Secret
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import (
    CommonTlsContext,
    DownstreamTlsContext,
    UpstreamTlsContext,
)

from services.gateway.routes import EdgeSettings
from services.gateway.xds.edge import KeyPair, Reach
from services.gateway.xds.resource import SECRET, Resource, resource
from services.gateway.xds.wire import from_ads, packed

_SOCKET = "envoy.transport_sockets.tls"
_UPSTREAM_AUTHORITY = "upstream/authority"
_UPSTREAM_OWN = "upstream/own"


def secret(domain: str, pair: KeyPair) -> Resource:
    """The certificate and key of a domain."""
    return _certificate(_name(domain), pair)


def transport_socket(domain: str) -> Any:
    """TLS 1.2 or newer with the certificate of a domain, for HTTP/2 and HTTP/1.1."""
    common = CommonTlsContext(
        tls_params=_tls_12_or_newer(),
        alpn_protocols=["h2", "http/1.1"],
        tls_certificate_sds_secret_configs=[_by_name(_name(domain))],
    )
    return TransportSocket(name=_SOCKET, typed_config=packed(DownstreamTlsContext(common_tls_context=common)))


def upstream_secrets(settings: EdgeSettings) -> list[Resource]:
    """What the gateway trusts instances by, and what it shows them; nothing where they speak no TLS."""
    if not settings.upstream_ca:
        return []
    trusted = CertificateValidationContext(trusted_ca=DataSource(inline_string=settings.upstream_ca))
    message = Secret(name=_UPSTREAM_AUTHORITY, validation_context=trusted)
    built = [resource(SECRET, _UPSTREAM_AUTHORITY, message)]
    if settings.upstream_certificate:
        own = KeyPair(settings.upstream_certificate, settings.upstream_key)
        built.append(_certificate(_UPSTREAM_OWN, own))
    return built


def speak_tls(cluster: Cluster, reach: Reach) -> None:
    """TLS toward instances, where asked for. They are known by address, so the authority alone is checked."""
    if not reach.tls:
        return
    common = CommonTlsContext(
        tls_params=_tls_12_or_newer(), validation_context_sds_secret_config=_by_name(_UPSTREAM_AUTHORITY)
    )
    if reach.shows_certificate:
        common.tls_certificate_sds_secret_configs.append(_by_name(_UPSTREAM_OWN))
    context = packed(UpstreamTlsContext(common_tls_context=common))
    cluster.transport_socket.CopyFrom(TransportSocket(name=_SOCKET, typed_config=context))


def _certificate(name: str, pair: KeyPair) -> Resource:
    certificate = TlsCertificate(
        certificate_chain=DataSource(inline_string=pair.certificate),
        private_key=DataSource(inline_string=pair.key),
    )
    return resource(SECRET, name, Secret(name=name, tls_certificate=certificate))


def _name(domain: str) -> str:
    return f"domain/{domain}"


def _by_name(name: str) -> Any:
    return SdsSecretConfig(name=name, sds_config=from_ads())


def _tls_12_or_newer() -> Any:
    return TlsParameters(tls_minimum_protocol_version=TlsParameters.TlsProtocol.TLSv1_2)
