"""What can be set for a gateway, field by field. Pure."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_network
from urllib.parse import urlsplit

from libs.domain.errors import InvalidRequest
from libs.domain.traffic import SHARED_GATEWAY, Gateway, GatewayDomain
from services.scheduler.gateways.address import certified
from services.scheduler.world import World

MOST_BODY = 1 << 40
LONGEST_KEEPALIVE_MS = 24 * 3600 * 1000
MOST_WORKERS = 1024
_LARGEST_PORT = 65535
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_MAKE_IT = "make it with `easel secret set NAME KEY=VALUE`"


def refuse_name(name: str) -> None:
    """Raises InvalidRequest."""
    if not _NAME.fullmatch(name):
        raise InvalidRequest("name", name, "up to 63 lower-case letters, digits and `-` between them")


def refuse_odd(world: World, gateway: Gateway) -> None:
    """Raises InvalidRequest for the first field that cannot be so, ports of other gateways aside."""
    _refuse_host(world, gateway)
    _refuse_ports(gateway)
    _refuse_numbers(gateway)
    if gateway.public_url and not is_url(gateway.public_url):
        raise InvalidRequest(
            "public_url", gateway.public_url, "an address that begins with http:// or https://"
        )
    for field, networks in (("allow", gateway.allow), ("deny", gateway.deny)):
        for network in networks:
            _refuse_network(field, network)
    _refuse_domains(world, gateway)
    if gateway.upstream_tls_secret:
        keys = _keys_of(world, "upstream_tls_secret", gateway.upstream_tls_secret, ("ca",))
        if len(keys & {"certificate", "key"}) == 1:
            raise InvalidRequest(
                "upstream_tls_secret",
                gateway.upstream_tls_secret,
                "both of the keys certificate and key, or none",
            )


def is_url(text: str) -> bool:
    """Whether it is an HTTP address with a host."""
    if not text.isprintable() or " " in text:
        return False
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        return False


def is_domain(name: str) -> bool:
    """Whether it is a host name of at least two parts, in lower case."""
    labels = name.split(".")
    return len(name) <= 253 and len(labels) > 1 and all(_LABEL.fullmatch(label) for label in labels)


def refuse_secret(world: World, field: str, name: str, keys: Iterable[str]) -> None:
    """Raises InvalidRequest for a secret that is not there, or lacks one of the keys."""
    _keys_of(world, field, name, keys)


def _keys_of(world: World, field: str, name: str, keys: Iterable[str]) -> set[str]:
    record = world.secrets.get(name)
    if record is None:
        raise InvalidRequest(field, name, f"an existing secret; {_MAKE_IT}")
    wanted = list(keys)
    if lacking := [key for key in wanted if key not in record.keys]:
        raise InvalidRequest(field, name, f"a secret with the keys {_and(wanted)}; it lacks {_and(lacking)}")
    return set(record.keys)


def _refuse_host(world: World, gateway: Gateway) -> None:
    host = gateway.host
    if gateway.name == SHARED_GATEWAY or not host:
        for field, value in (("host", host), ("port", gateway.port), ("workers", gateway.workers)):
            if value:
                raise InvalidRequest(
                    field, value, f"nothing: the process of {gateway.name!r} has it in its own settings"
                )
        return
    known = [SHARED_GATEWAY, *sorted(n for n, each in world.gateways.items() if not each.host)]
    known = [name for name in dict.fromkeys(known) if name != gateway.name]
    if host not in known:
        raise InvalidRequest("host", host, f"a gateway with a process of its own ({', '.join(known)})")
    if hosted := sorted(each.name for each in world.gateways.values() if each.host == gateway.name):
        raise InvalidRequest("host", host, f"nothing while its own process runs {_and(hosted)}")
    if not gateway.port:
        raise InvalidRequest("port", gateway.port, "the port at which its Envoy listens")


def _refuse_ports(gateway: Gateway) -> None:
    for field, port in (("port", gateway.port), ("tls_port", gateway.tls_port)):
        if not 0 <= port <= _LARGEST_PORT:
            raise InvalidRequest(field, port, f"a port from 1 to {_LARGEST_PORT}")
    if gateway.tls_port and gateway.tls_port == gateway.port:
        raise InvalidRequest("tls_port", gateway.tls_port, "a port other than `port`")
    names = [each.name for each in certified(gateway)]
    if names and not gateway.tls_port:
        have = "has" if len(names) == 1 else "have"
        raise InvalidRequest("tls_port", 0, f"a port, since {_and(names)} {have} a certificate")
    if not gateway.redirect_https:
        return
    why = "since redirect_https sends every request there"
    if not gateway.tls_port:
        raise InvalidRequest("tls_port", 0, f"a port, and a domain with a certificate, {why}")
    if not names:
        given = ", ".join(each.name for each in gateway.domains)
        raise InvalidRequest("domains", given, f"a domain with a certificate, {why}")


def _refuse_numbers(gateway: Gateway) -> None:
    if not -1 <= gateway.body_limit_bytes <= MOST_BODY:
        expected = "bytes, 0 for the default or -1 for no limit"
        raise InvalidRequest("body_limit_bytes", gateway.body_limit_bytes, expected)
    if gateway.keepalive_ms > LONGEST_KEEPALIVE_MS:
        raise InvalidRequest("keepalive_ms", gateway.keepalive_ms, "a day at most")
    if gateway.workers > MOST_WORKERS:
        raise InvalidRequest("workers", gateway.workers, f"at most {MOST_WORKERS}")


def _refuse_network(field: str, network: str) -> None:
    try:
        ip_network(network)
    except ValueError:
        if meant := _without_host_bits(network):
            expected = f"{meant}; host bits are set, beyond the first {meant.prefixlen}"
            raise InvalidRequest(field, network, expected) from None
        expected = "a network such as 10.0.0.0/8 or fd00::/8, or one address"
        raise InvalidRequest(field, network, expected) from None


def _without_host_bits(network: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(network, strict=False)
    except ValueError:
        return None


def _refuse_domains(world: World, gateway: Gateway) -> None:
    seen: set[str] = set()
    for domain in gateway.domains:
        if not is_domain(domain.name):
            raise InvalidRequest("domains", domain.name, "a host name in lower case, such as api.example.com")
        if domain.name in seen:
            raise InvalidRequest("domains", domain.name, "each domain once")
        seen.add(domain.name)
        _refuse_certificate(world, domain)
    for other in world.gateways.values():
        for domain in other.domains if other.name != gateway.name else ():
            if domain.name in seen:
                expected = f"a domain of no other gateway; {other.name!r} has it"
                raise InvalidRequest("domains", domain.name, expected)


def _refuse_certificate(world: World, domain: GatewayDomain) -> None:
    field = f"domains[{domain.name}]"
    if bool(domain.certificate_file) != bool(domain.key_file):
        raise InvalidRequest(field, domain.certificate_file or domain.key_file, "both files or none")
    if domain.secret and domain.certificate_file:
        raise InvalidRequest(field, domain.secret, "a secret or files, not both")
    if domain.secret:
        _keys_of(world, field, domain.secret, ("certificate", "key"))


def _and(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
