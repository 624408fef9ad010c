"""Where clients reach a gateway, as far as its settings say. Pure."""

from libs.domain.traffic import Gateway, GatewayDomain


def certified(gateway: Gateway) -> list[GatewayDomain]:
    """The domains that have a certificate."""
    return [each for each in gateway.domains if each.secret or each.certificate_file]


def url_of(gateway: Gateway | None) -> str:
    """What an operator set, or the address with TLS where everything else is redirected to; else empty."""
    if gateway is None or gateway.public_url:
        return gateway.public_url if gateway is not None else ""
    domains = certified(gateway)
    if not (gateway.redirect_https and gateway.tls_port and domains):
        return ""
    port = "" if gateway.tls_port == 443 else f":{gateway.tls_port}"
    return f"https://{domains[0].name}{port}"
