"""What a gateway is told of its settings, and of the gateways whose Envoys it is to run. Pure."""

from collections.abc import Callable, Mapping

from easel.gateway.v1 import gateway_pb2
from libs.domain.traffic import Gateway, GatewayDomain
from services.scheduler.world import World

SecretOf = Callable[[str], Mapping[str, str] | None]


def settings_of(world: World, name: str, secret: SecretOf) -> gateway_pb2.GatewaySettings:
    """Secrets in the clear; of one that cannot be opened the values are empty, and the gateway says so."""
    record = world.gateways.get(name)
    if record is None:
        return gateway_pb2.GatewaySettings(name=name)
    upstream = _opened(record.upstream_tls_secret, secret)
    return gateway_pb2.GatewaySettings(
        name=name,
        tls_port=record.tls_port,
        domains=[_domain(domain, secret) for domain in record.domains],
        redirect_https=record.redirect_https,
        allow=record.allow,
        deny=record.deny,
        body_limit_bytes=max(0, record.body_limit_bytes),
        no_body_limit=record.body_limit_bytes < 0,
        max_connections=record.max_connections,
        upstream_ca=upstream.get("ca", ""),
        upstream_certificate=upstream.get("certificate", ""),
        upstream_key=upstream.get("key", ""),
    )


def hosted_by(world: World, name: str) -> gateway_pb2.HostedGateways:
    """The gateways whose Envoys the process of this one runs."""
    hosted = sorted((g for g in world.gateways.values() if g.host == name), key=lambda g: g.name)
    return gateway_pb2.HostedGateways(gateways=[_hosted(gateway) for gateway in hosted])


def _hosted(gateway: Gateway) -> gateway_pb2.HostedGateway:
    return gateway_pb2.HostedGateway(
        name=gateway.name, port=gateway.port, workers=gateway.workers, public_url=gateway.public_url
    )


def _domain(domain: GatewayDomain, secret: SecretOf) -> gateway_pb2.Domain:
    opened = _opened(domain.secret, secret)
    return gateway_pb2.Domain(
        name=domain.name,
        certificate=opened.get("certificate", ""),
        key=opened.get("key", ""),
        certificate_file=domain.certificate_file,
        key_file=domain.key_file,
    )


def _opened(name: str, secret: SecretOf) -> Mapping[str, str]:
    return (secret(name) or {}) if name else {}
