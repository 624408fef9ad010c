"""`easel node`: the hosts that instances run on."""

from typing import Annotated

import typer

from cli.output import Format, Output, dump, facts, put, say, show_rows
from cli.pairs import pairs
from cli.quantities import length_of, length_text
from cli.session import listed, with_easel

nodes = typer.Typer(help="See and manage the nodes.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NODE", help="The node's name.")]
Why = Annotated[str, typer.Option("--why", help="The reason to keep with the node.")]


@nodes.command("list", hidden=True)
@nodes.command("ls")
def ls(
    group: Annotated[str, typer.Option("--resource", "-r", help="Only this resource group.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """List the nodes."""
    from cli.node_views import NODES

    found = with_easel(lambda easel: listed(easel.nodes.list(resource_group=group)), "node ls")
    show_rows(
        found, output, NODES, "no node yet; `easel up` brings one, and an agent with a join token joins"
    )


@nodes.command("desc")
def desc(name: Name, output: Output = Format.TABLE) -> None:
    """Describe one node, its GPUs and what is placed on it."""
    node = with_easel(lambda easel: easel.nodes.get(name), "node desc")
    if output is not Format.TABLE:
        return dump(node, output)
    from cli.node_views import node_lines

    return put(facts(node_lines(node)))


@nodes.command("cordon")
def cordon(name: Name, why: Why = "", output: Output = Format.TABLE) -> None:
    """Place nothing more on a node; what runs there stays."""
    node = with_easel(lambda easel: easel.nodes.cordon(name, why=why), "node cordon")
    _done(node, output, f"{name} is cordoned: {node.why}")


@nodes.command("uncordon")
def uncordon(name: Name, output: Output = Format.TABLE) -> None:
    """Let instances be placed on a node again."""
    node = with_easel(lambda easel: easel.nodes.uncordon(name), "node uncordon")
    _done(node, output, f"{name} takes instances again")


@nodes.command("drain")
def drain(name: Name, why: Why = "", output: Output = Format.TABLE) -> None:
    """Cordon a node and move its instances elsewhere, replacements first."""
    draining = with_easel(lambda easel: easel.nodes.drain(name, why=why), "node drain")
    moving = draining.moving
    moves = f"draining: {moving} {'instance moves' if moving == 1 else 'instances move'} elsewhere"
    _done(draining, output, f"{name} is {moves if moving else 'drained: no instance is on it'}")


@nodes.command("reclaim")
def reclaim(
    name: Name,
    notice: Annotated[str, typer.Option("--in", help="How long until it goes: 30s, 2m, 1h.")] = "",
    why: Why = "",
    force: Annotated[
        bool, typer.Option("--force", help="Also where instances have no time to end, or are protected.")
    ] = False,
    cancel: Annotated[bool, typer.Option("--cancel", help="It stays after all.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Say that a node is taken away: its instances are replaced before, successors first."""
    if cancel == bool(notice):
        raise typer.BadParameter("give either --in TIME or --cancel")
    if cancel:
        node = with_easel(lambda easel: easel.nodes.keep(name), "node reclaim")
        return _done(node, output, f"{name} stays")
    length = length_of("--in", notice)
    going = with_easel(lambda easel: easel.nodes.reclaim(name, length, why=why, force=force), "node reclaim")
    from cli.node_views import leaving_text

    return _done(going, output, f"{name} is taken away in {length_text(length)}: {leaving_text(going)}")


@nodes.command("label")
def label(
    name: Name,
    labels: Annotated[list[str], typer.Argument(metavar="KEY=VALUE", help="KEY= removes a label.")],
    output: Output = Format.TABLE,
) -> None:
    """Set or remove labels of a node."""
    wanted = pairs(labels, "KEY=VALUE")
    node = with_easel(lambda easel: easel.nodes.update(name, labels=wanted), "node label")
    _done(node, output, f"{name}: " + (", ".join(f"{k}={v}" for k, v in node.labels.items()) or "no labels"))


@nodes.command("move")
def move(
    name: Name,
    group: Annotated[str, typer.Argument(metavar="GROUP", help="The resource group to move it to.")],
    output: Output = Format.TABLE,
) -> None:
    """Move a node to another resource group."""
    node = with_easel(lambda easel: easel.nodes.update(name, resource_group=group), "node move")
    _done(node, output, f"{name} is in resource group {node.resource_group}")


@nodes.command("delete")
def delete(name: Name, output: Output = Format.TABLE) -> None:
    """Forget a node that is lost or empty. It may join again."""
    with_easel(lambda easel: easel.nodes.delete(name), "node delete")
    _done({"deleted": name}, output, f"{name} is deleted")


def _done(value: object, output: Format, sentence: str) -> None:
    say(sentence) if output is Format.TABLE else dump(value, output)


def add_to(app: typer.Typer) -> None:
    app.add_typer(nodes, name="node", rich_help_panel="Nodes")
