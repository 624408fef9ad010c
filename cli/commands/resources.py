"""`easel resource`: resource groups, the sets that nodes belong to."""

from enum import StrEnum
from typing import Annotated

import typer

from cli.output import Format, Output, dump, say, show_rows
from cli.session import listed, with_easel

resources = typer.Typer(help="See and manage resource groups.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="GROUP", help="The resource group's name.")]


class Kind(StrEnum):
    DEDICATED = "dedicated"
    PUBLIC = "public"


@resources.command("list", hidden=True)
@resources.command("ls")
def ls(output: Output = Format.TABLE) -> None:
    """List the resource groups."""
    from cli.node_views import RESOURCE_GROUPS

    found = with_easel(lambda easel: listed(easel.resource_groups.list()), "resource ls")
    show_rows(found, output, RESOURCE_GROUPS, "no resource group")


@resources.command("desc")
def desc(name: Name, output: Output = Format.TABLE) -> None:
    """Describe one resource group and its nodes."""
    from cli.node_views import NODES, RESOURCE_GROUPS

    group = with_easel(lambda easel: easel.resource_groups.get(name), "resource desc")
    if output is not Format.TABLE:
        return dump(group, output)
    nodes = with_easel(lambda easel: listed(easel.nodes.list(resource_group=name)), "resource desc")
    show_rows([group], output, RESOURCE_GROUPS, "")
    typer.echo()
    return show_rows(nodes, output, NODES, f"{name} has no node; `easel node move NODE {name}` moves one in")


@resources.command("create")
def create(
    name: Name,
    kind: Annotated[Kind, typer.Option("--kind", help="Whose it is.")] = Kind.DEDICATED,
    output: Output = Format.TABLE,
) -> None:
    """Create a resource group."""
    group = with_easel(lambda easel: easel.resource_groups.create(name, kind=kind.value), "resource create")
    _done(group, output, f"{name} is created ({group.kind}); `easel node move NODE {name}` moves a node in")


@resources.command("update")
def update(
    name: Name,
    kind: Annotated[Kind, typer.Option("--kind", help="Whose it is.")],
    output: Output = Format.TABLE,
) -> None:
    """Change a resource group."""
    group = with_easel(lambda easel: easel.resource_groups.update(name, kind=kind.value), "resource update")
    _done(group, output, f"{name} is {group.kind}")


@resources.command("delete")
def delete(name: Name, output: Output = Format.TABLE) -> None:
    """Delete a resource group that no node or service uses."""
    with_easel(lambda easel: easel.resource_groups.delete(name), "resource delete")
    _done({"deleted": name}, output, f"{name} is deleted")


def _done(value: object, output: Format, sentence: str) -> None:
    say(sentence) if output is Format.TABLE else dump(value, output)


def add_to(app: typer.Typer) -> None:
    app.add_typer(resources, name="resource", rich_help_panel="Nodes")
