"""`easel gateway`: what carries requests in."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.exits import Exit
from cli.gateway_options import (
    Allow,
    BodyLimit,
    Deny,
    Domains,
    Host,
    Keepalive,
    MaxConnections,
    OwnProcess,
    Patience,
    Port,
    PublicUrl,
    Redirect,
    TlsPort,
    UpstreamTls,
    Workers,
    settings_of,
)
from cli.output import Format, Output, dump, facts, put, say, show_rows, warn
from cli.session import listed, with_easel

if TYPE_CHECKING:
    from easel_sdk import AsyncEasel
    from easel_sdk.types import Gateway

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
    wait: Patience = 10,
    output: Output = Format.TABLE,
) -> None:
    """Create a gateway with an Envoy of its own; services choose it with networking.gateway.

    The shared gateway's process runs it, unless --host or --own-process says otherwise. The exit code is 1
    when it does not serve, as when its port is taken.

    Example: easel gateway create edge --port 8443 --domain api.example.com=secret:api-tls --allow 10.0.0.0/8
    """
    from cli.gateway_waiting import settled
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

    async def work(easel: "AsyncEasel") -> "Gateway":
        gateway = await easel.gateways.create(name, **settings)
        start = f"EASEL_GATEWAY_NAME={name} python -m services.gateway"
        runs = f"`{start}` runs it" if own_process else f"{gateway.host} runs its Envoy"
        _tell(gateway, f"{name} is created; {runs}", output)
        return await settled(easel, gateway, wait)

    gateway = with_easel(work, "gateway create")
    _end(gateway, output, judged=wait > 0)
    if output is Format.TABLE:
        say(f'services choose it with "networking": {{"gateway": "{name}"}}')


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
    wait: Patience = 10,
    output: Output = Format.TABLE,
) -> None:
    """Change what is given of a gateway; the rest stays. The exit code is 1 when it does not serve then.

    Example: easel gateway set gateway --body-limit 10MB --deny 203.0.113.0/24
    """
    from cli.gateway_waiting import settled

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

    async def work(easel: "AsyncEasel") -> "Gateway":
        gateway = await easel.gateways.update(name, **settings)
        _tell(gateway, f"{name} is changed: {', '.join(sorted(settings)).replace('_', ' ')}", output)
        return await settled(easel, gateway, wait)

    _end(with_easel(work, "gateway set"), output, judged=wait > 0)


def _tell(gateway: "Gateway", done: str, output: Format) -> None:
    """What was done, before it is waited for."""
    from cli.gateway_waiting import without_certificate

    if output is Format.TABLE:
        say(done)
    if closed := without_certificate(gateway):
        warn(closed)


def _end(gateway: "Gateway", output: Format, *, judged: bool) -> None:
    """Shows it and, where it was waited for, ends the command when it does not serve."""
    from cli.gateway_waiting import awaits_operator, failing

    if output is not Format.TABLE:
        dump(gateway, output)
    if not judged:
        return
    if awaits_operator(gateway):
        say(f"nothing is answered there yet: {gateway.why}")
    elif why := failing(gateway):
        say(f"{why}; `easel gateway desc {gateway.name}` says how it stands")
        raise typer.Exit(Exit.FAILED)


@gateways.command("delete")
def delete(name: Name, output: Output = Format.TABLE) -> None:
    """Delete a gateway that no service and no group is on."""
    with_easel(lambda easel: easel.gateways.delete(name), "gateway delete")
    say(f"{name} is deleted") if output is Format.TABLE else dump({"deleted": name}, output)


def add_to(app: typer.Typer) -> None:
    app.add_typer(gateways, name="gateway", rich_help_panel="Traffic")
