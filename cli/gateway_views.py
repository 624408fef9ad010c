"""What a person sees of gateways, registries and access tokens."""

from datetime import UTC, datetime

from cli.output import Columns
from cli.quantities import bytes_text, length_text
from cli.traffic_views import until_text
from easel_sdk.types import AccessToken, CertificateStatus, Gateway, GatewayDomain, Registry


def body_limit_text(size: int) -> str:
    return "none" if size < 0 else bytes_text(size) if size else "default"


def domain_text(domain: GatewayDomain) -> str:
    """The host name, and where its certificate is."""
    if domain.secret:
        return f"{domain.name} (TLS, secret {domain.secret})"
    if domain.certificate_file:
        return f"{domain.name} (TLS, {domain.certificate_file} and {domain.key_file})"
    return f"{domain.name} (no TLS)"


def _runs(gateway: Gateway) -> str:
    if gateway.node:
        return f"on node {gateway.node}"
    return f"in the process of {gateway.host}" if gateway.host else "in a process of its own"


def gateway_state(gateway: Gateway) -> str:
    """Whether it serves: `No Envoy` answers nobody, `Troubled` serves and does not do all that is set."""
    if not gateway.connected:
        return "Away"
    return "No Envoy" if not gateway.envoys else "Troubled" if gateway.why else "Ready"


def _ports(gateway: Gateway) -> str:
    found = [str(gateway.port)] if gateway.port else []
    return ", ".join([*found, *([f"{gateway.tls_port} TLS"] if gateway.tls_port else [])])


GATEWAYS: Columns[Gateway] = (
    ("GATEWAY", lambda each: each.name),
    ("STATE", gateway_state),
    ("ENVOYS", lambda each: each.envoys),
    ("PORTS", _ports),
    ("DOMAINS", lambda each: ", ".join(domain.name for domain in each.domains)),
    ("SERVICES", lambda each: each.services),
    ("AGE", lambda each: each.created_at),
    ("WHY", lambda each: each.why),
)
REGISTRIES: Columns[Registry] = (
    ("REGISTRY", lambda each: each.id),
    ("KIND", lambda each: each.kind),
    ("URL", lambda each: each.url),
    ("NAMESPACE", lambda each: each.namespace),
    ("GROUP", lambda each: each.group),
    ("SECRET", lambda each: each.secret),
    ("USED BY", lambda each: ", ".join(each.used_by)),
)
ACCESS_TOKENS: Columns[AccessToken] = (
    ("ID", lambda each: each.id),
    ("NAME", lambda each: each.name),
    ("EXPIRES", lambda each: until_text(each.expires_at)),
    ("LAST USED", lambda each: each.last_used_at),
    ("AGE", lambda each: each.created_at),
)


def certificate_text(certificate: CertificateStatus) -> str:
    """Until when it is valid, or why it is not in force."""
    until = ""
    if certificate.not_after is not None:
        over = " (over)" if certificate.not_after <= datetime.now(UTC) else ""
        until = f"valid until {certificate.not_after:%Y-%m-%d}{over}"
    return f"{certificate.domain}: " + "; ".join(part for part in (until, certificate.why) if part)


def gateway_lines(gateway: Gateway) -> list[tuple[str, object]]:
    """What `easel gateway desc` says, as labels and values."""
    shared = " (the shared one: services that name no gateway are on it)" if gateway.shared else ""
    return [
        ("gateway", f"{gateway.name}{shared}"),
        ("state", gateway_state(gateway)),
        ("why", gateway.why),
        ("runs", _runs(gateway)),
        ("Envoys", gateway.envoys),
        ("workers", gateway.workers or "one a core"),
        ("ports", _ports(gateway)),
        ("public URL", gateway.public_url),
        *(("domain", domain_text(each)) for each in gateway.domains),
        *(("certificate", certificate_text(each)) for each in gateway.certificates),
        ("HTTP to HTTPS", "redirected" if gateway.redirect_https else ""),
        ("allow", ", ".join(gateway.allow)),
        ("deny", ", ".join(gateway.deny)),
        ("body limit", body_limit_text(gateway.body_limit_bytes)),
        ("keepalive", length_text(gateway.keepalive) if gateway.keepalive else "default"),
        ("connections", f"at most {gateway.max_connections}" if gateway.max_connections else "default"),
        ("TLS upstream", f"secret {gateway.upstream_tls_secret}" if gateway.upstream_tls_secret else ""),
        ("services", gateway.services),
        ("created", gateway.created_at),
        ("changed", gateway.updated_at),
    ]
