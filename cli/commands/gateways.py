"""`easel gateway`: what carries requests in."""

from typing import Annotated

import typer

from cli.gateway_options import (
    Allow,
    BodyLimit,
    Deny,
    Domains,
    Host,
    Keepalive,
    MaxConnections,
    OwnProcess,
    Port,
    PublicUrl,
    Redirect,
    TlsPort,
    UpstreamTls,
    Workers,
    settings_of,
)
from cli.output import Format, Output, dump, facts, put, say, show_rows
from cli.session import listed, with_easel

gateways = typer.Typer(help="See and manage gateways: ports, domains, TLS, limits.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="GATEWAY", help="The gateway's name.")]


@gateways.command("list", hidden=True)
@gateways.command("ls")
def ls(
    nodes: Annotated[
        bool, typer.Option("--nodes", help="Also those of nodes, for clients that connect directly.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """List the gateways."""
    from cli.gateway_views import GATEWAYS

    found = with_easel(lambda easel: listed(easel.gateways.list(with_nodes=nodes)), "gateway ls")
    show_rows(found, output, GATEWAYS, "no gateway has connected yet")


@gateways.command("desc")
def desc(name: Name, output: Output = Format.TABLE) -> None:
    """Describe one gateway: where it listens, its certificates and limits, whether it is connected."""
    from cli.gateway_views import gateway_lines

    gateway = with_easel(lambda easel: easel.gateways.get(name), "gateway desc")
    dump(gateway, output) if output is not Format.TABLE else put(facts(gateway_lines(gateway)))


@gateways.command("create")
def create(
    name: Name,
    port: Port = None,
    tls_port: TlsPort = None,
    workers: Workers = None,
    public_url: PublicUrl = None,
    domain: Domains = None,
    redirect_https: Redirect = None,
    allow: Allow = None,
    deny: Deny = None,
    body_limit: BodyLimit = None,
    keepalive: Keepalive = None,
    max_connections: MaxConnections = None,
    host: Host = "",
    own_process: OwnProcess = False,
    upstream_tls: UpstreamTls = None,
    output: Output = Format.TABLE,
) -> None:
    """Create a gateway with an Envoy of its own; services choose it with networking.gateway.

    The shared gateway's process runs it, unless --host or --own-process says otherwise.

    Example: easel gateway create edge --port 8443 --domain api.example.com=secret:api-tls --allow 10.0.0.0/8
    """
    from libs.domain.traffic import SHARED_GATEWAY

    settings = settings_of(
        port=port,
        tls_port=tls_port,
        workers=workers,
        public_url=public_url,
        domains=domain,
        redirect_https=redirect_https,
        allow=allow,
        deny=deny,
        body_limit=body_limit,
        keepalive=keepalive,
        max_connections=max_connections,
        host=host or ("" if own_process else SHARED_GATEWAY),
        own_process=own_process,
        upstream_tls=upstream_tls,
    )
    gateway = with_easel(lambda easel: easel.gateways.create(name, **settings), "gateway create")
    if output is not Format.TABLE:
        return dump(gateway, output)
    start = f"EASEL_GATEWAY_NAME={name} python -m services.gateway"
    say(
        f"{name} is created" + (f"; `{start}` runs it" if own_process else f"; {gateway.host} runs its Envoy")
    )
    return say(f'services choose it with "networking": {{"gateway": "{name}"}}')


@gateways.command("set")
def set_(
    name: Name,
    port: Port = None,
    tls_port: TlsPort = None,
    workers: Workers = None,
    public_url: PublicUrl = None,
    domain: Domains = None,
    redirect_https: Redirect = None,
    allow: Allow = None,
    deny: Deny = None,
    body_limit: BodyLimit = None,
    keepalive: Keepalive = None,
    max_connections: MaxConnections = None,
    host: Host = "",
    own_process: OwnProcess = False,
    upstream_tls: UpstreamTls = None,
    output: Output = Format.TABLE,
) -> None:
    """Change what is given of a gateway; the rest stays.

    Example: easel gateway set gateway --body-limit 10MB --deny 203.0.113.0/24
    """
    settings = settings_of(
        port=port,
        tls_port=tls_port,
        workers=workers,
        public_url=public_url,
        domains=domain,
        redirect_https=redirect_https,
        allow=allow,
        deny=deny,
        body_limit=body_limit,
        keepalive=keepalive,
        max_connections=max_connections,
        host=host,
        own_process=own_process,
        upstream_tls=upstream_tls,
    )
    if not settings:
        raise typer.BadParameter(f"give what is to change; `easel gateway desc {name}` shows what is set")
    gateway = with_easel(lambda easel: easel.gateways.update(name, **settings), "gateway set")
    if output is not Format.TABLE:
        return dump(gateway, output)
    return say(f"{name} is changed: {', '.join(sorted(settings)).replace('_', ' ')}")


@gateways.command("delete")
def delete(name: Name, output: Output = Format.TABLE) -> None:
    """Delete a gateway that no service and no group is on."""
    with_easel(lambda easel: easel.gateways.delete(name), "gateway delete")
    say(f"{name} is deleted") if output is Format.TABLE else dump({"deleted": name}, output)


def add_to(app: typer.Typer) -> None:
    app.add_typer(gateways, name="gateway", rich_help_panel="Traffic")
