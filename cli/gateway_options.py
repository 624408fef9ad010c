"""What may be set for a gateway, as options of a command; and the settings they ask for. Pure."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from cli.quantities import bytes_of, length_of

if TYPE_CHECKING:
    from easel_sdk.types import GatewayDomain, GatewaySettings

Port = Annotated[int | None, typer.Option("--port", help="The port of its Envoy.", min=1, max=65535)]
TlsPort = Annotated[
    int | None, typer.Option("--tls-port", help="The port for TLS; 0 closes it.", min=0, max=65535)
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", help="Worker threads of its Envoy; 0 is the default, one a core.", min=0),
]
PublicUrl = Annotated[
    str | None, typer.Option("--public-url", metavar="URL", help="How clients write its address.")
]
Domains = Annotated[
    list[str] | None,
    typer.Option(
        "--domain",
        metavar="NAME[=secret:S|=CERT,KEY]",
        help="A host name, with its certificate in a secret (keys certificate and key) or in two files on "
        "the gateway's host. Repeatable; all of them replace those of before, none removes them.",
    ),
]
Redirect = Annotated[
    bool | None,
    typer.Option("--redirect-https/--no-redirect-https", help="Answer plain HTTP with a redirect."),
]
Allow = Annotated[
    list[str] | None,
    typer.Option("--allow", metavar="CIDR", help="Only this network may call. Repeatable; none lifts it."),
]
Deny = Annotated[
    list[str] | None,
    typer.Option("--deny", metavar="CIDR", help="This network may not call, whatever --allow says."),
]
BodyLimit = Annotated[
    str | None,
    typer.Option(
        "--body-limit", metavar="10MB|none|default", help="The largest request body; 0 is the default."
    ),
]
Keepalive = Annotated[
    str | None,
    typer.Option(
        "--keepalive",
        metavar="10m|default",
        help="How long a request waits for its answer to begin; 0s is the default.",
    ),
]
MaxConnections = Annotated[
    int | None, typer.Option("--max-connections", help="Connections at once; 0 is the default.", min=0)
]
Host = Annotated[
    str, typer.Option("--host", metavar="GATEWAY", help="The gateway whose process runs its Envoy.")
]
OwnProcess = Annotated[
    bool, typer.Option("--own-process", help="An operator starts its process; it dials in by itself.")
]
Patience = Annotated[
    float,
    typer.Option("--wait", metavar="SECONDS", help="How long to wait until it serves; 0 does not.", min=0),
]
UpstreamTls = Annotated[
    str | None,
    typer.Option(
        "--upstream-tls",
        metavar="SECRET|none",
        help="TLS toward instances, with ca, certificate and key of this secret.",
    ),
]


def settings_of(
    *,
    port: int | None,
    tls_port: int | None,
    workers: int | None,
    public_url: str | None,
    domains: Sequence[str] | None,
    redirect_https: bool | None,
    allow: Sequence[str] | None,
    deny: Sequence[str] | None,
    body_limit: str | None,
    keepalive: str | None,
    max_connections: int | None,
    host: str,
    own_process: bool,
    upstream_tls: str | None,
) -> "GatewaySettings":
    """What was given, and nothing else. Ends the command with a usage error where it makes no sense."""
    if host and own_process:
        raise typer.BadParameter("give either --host or --own-process")
    found: dict[str, object] = {
        "port": port,
        "tls_port": tls_port,
        "workers": workers,
        "public_url": public_url,
        "domains": tuple(domain_of(each) for each in _unless_none(domains)) if domains else None,
        "redirect_https": redirect_https,
        "allow": _unless_none(allow) if allow else None,
        "deny": _unless_none(deny) if deny else None,
        "body_limit_bytes": None if body_limit is None else _body_limit(body_limit),
        "keepalive": None if keepalive is None else _keepalive(keepalive),
        "max_connections": max_connections,
        "host": host if host or own_process else None,
        "upstream_tls_secret": "" if upstream_tls == "none" else upstream_tls,
    }
    return cast("GatewaySettings", {name: value for name, value in found.items() if value is not None})


def _keepalive(text: str) -> timedelta:
    return timedelta() if text == "default" else length_of("--keepalive", text)


def _unless_none(given: Sequence[str]) -> tuple[str, ...]:
    return () if list(given) == ["none"] else tuple(given)


def _body_limit(text: str) -> int:
    words = {"none": -1, "default": 0}
    return words[text] if text in words else bytes_of("--body-limit", text)


def domain_of(text: str) -> "GatewayDomain":
    """`NAME`, `NAME=secret:S` or `NAME=CERT,KEY`. Ends the command with a usage error on anything else."""
    from easel_sdk.types import GatewayDomain

    name, equals, where = text.partition("=")
    if name and not equals:
        return GatewayDomain(name)
    if name and where.startswith("secret:") and len(where) > len("secret:"):
        return GatewayDomain(name, secret=where.removeprefix("secret:"))
    certificate, comma, key = where.partition(",")
    if not (name and certificate and comma and key):
        expected = "NAME, NAME=secret:SECRET or NAME=CERTIFICATE,KEY"
        raise typer.BadParameter(f"--domain: got {text!r}, expected {expected}")
    return GatewayDomain(
        name, certificate_file=str(Path(certificate).absolute()), key_file=str(Path(key).absolute())
    )
