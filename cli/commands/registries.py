"""`easel registry`: where instances are written for clients that look them up themselves."""

from typing import Annotated

import typer

from cli.output import Format, Output, dump, say, show_rows
from cli.session import listed, with_easel

registries = typer.Typer(help="Registries that services are written to, such as Nacos.", no_args_is_help=True)
Id = Annotated[
    str, typer.Argument(metavar="ID", help="What services call it in networking.nacos[].nacos_id.")
]


@registries.command("list", hidden=True)
@registries.command("ls")
def ls(output: Output = Format.TABLE) -> None:
    """List the registries and which services are written to them."""
    from cli.gateway_views import REGISTRIES

    found = with_easel(lambda easel: listed(easel.registries.list()), "registry ls")
    show_rows(found, output, REGISTRIES, "no registry yet; `easel registry put ID URL` makes one known")


@registries.command("put")
def put(
    registry_id: Id,
    url: Annotated[str, typer.Argument(metavar="URL", help="Its address, such as http://nacos:8848.")],
    kind: Annotated[str, typer.Option("--kind", help="What it speaks.")] = "nacos",
    namespace: Annotated[str, typer.Option("--namespace", help="The namespace to write to.")] = "",
    group: Annotated[str, typer.Option("--group", help="The group to write to.")] = "",
    secret: Annotated[
        str, typer.Option("--secret", metavar="SECRET", help="The secret with its user and password.")
    ] = "",
    output: Output = Format.TABLE,
) -> None:
    """Make a registry known, or change it as a whole.

    Example: easel registry put lab http://10.0.0.9:8848 --namespace prod --secret nacos-login
    """
    registry = with_easel(
        lambda easel: easel.registries.put(
            registry_id, url, kind=kind, namespace=namespace, group=group, secret=secret
        ),
        "registry put",
    )
    say(f"{registry_id} is {url} ({kind})") if output is Format.TABLE else dump(registry, output)


@registries.command("rm", hidden=True)
@registries.command("delete")
def delete(registry_id: Id, output: Output = Format.TABLE) -> None:
    """Forget a registry that no service is written to."""
    with_easel(lambda easel: easel.registries.delete(registry_id), "registry delete")
    say(f"{registry_id} is forgotten") if output is Format.TABLE else dump({"deleted": registry_id}, output)


def add_to(app: typer.Typer) -> None:
    app.add_typer(registries, name="registry", rich_help_panel="Traffic")
