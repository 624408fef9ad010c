"""`easel gpu`: the GPUs of the nodes, and taking one out of use."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import Format, Output, dump, plain, say, show_rows
from cli.session import listed, with_easel

if TYPE_CHECKING:
    from easel_sdk import AsyncEasel
    from easel_sdk.types import Gpu

gpus = typer.Typer(help="See GPUs, and take one out of use.", no_args_is_help=True)
Node = Annotated[str, typer.Argument(metavar="NODE", help="The node's name.")]
Uuid = Annotated[str, typer.Argument(metavar="UUID", help="The GPU's UUID, as `easel gpu ls` shows.")]


@gpus.command("list", hidden=True)
@gpus.command("ls")
def ls(
    node: Annotated[str, typer.Option("--node", help="Only those of this node.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """List the GPUs of the nodes, and whether instances are placed on them."""
    from cli.node_views import GPUS

    async def work(easel: "AsyncEasel") -> "list[tuple[str, Gpu]]":
        nodes = [await easel.nodes.get(node)] if node else await listed(easel.nodes.list())
        return [(each.name, gpu) for each in nodes for gpu in each.gpus]

    found = with_easel(work, "gpu ls")
    if output is not Format.TABLE:
        return dump([{"node": name, **plain(gpu)} for name, gpu in found], output)
    return show_rows(found, output, GPUS, f"{node or 'no node'} has {'no' if node else 'a'} GPU")


@gpus.command("fence")
def fence(
    node: Node,
    uuid: Uuid,
    why: Annotated[str, typer.Option("--why", help="The reason to keep with the fence.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """Place nothing more on a GPU; the instances on it are replaced, successors first."""
    changed = with_easel(lambda easel: easel.nodes.fence_gpu(node, uuid, why=why), "gpu fence")
    sentence = f"{uuid} of {node} is fenced; `easel gpu lift {node} {uuid}` lifts the fence"
    say(sentence) if output is Format.TABLE else dump(changed, output)


@gpus.command("lift")
def lift(node: Node, uuid: Uuid, output: Output = Format.TABLE) -> None:
    """Lift the fence of a GPU; it is fenced anew when it fails again."""
    changed = with_easel(lambda easel: easel.nodes.lift_gpu_fence(node, uuid), "gpu lift")
    say(f"{uuid} of {node} takes instances again") if output is Format.TABLE else dump(changed, output)


def add_to(app: typer.Typer) -> None:
    app.add_typer(gpus, name="gpu", rich_help_panel="Nodes")
