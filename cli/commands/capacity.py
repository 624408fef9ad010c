"""`easel capacity`: how many more instances fit where, and why not more."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import Columns, Format, Output, dump, put, say, show_rows, table
from cli.service_first import service_of
from cli.session import listed, with_easel

if TYPE_CHECKING:
    from easel_sdk import AsyncEasel
    from easel_sdk.scaling_types import GroupCapacity, NodeCapacity, Shape

# What is told of a shape of which nothing runs out.
_UNBOUNDED = 2**32 - 1
_PUBLIC = "public"


def capacity(
    service: Annotated[
        str, typer.Argument(metavar="[SERVICE]", help="The service whose instances to count.")
    ] = "",
    cpu: Annotated[float, typer.Option("--cpu", min=0, help="Cores of one instance.")] = 0.0,
    memory: Annotated[
        str, typer.Option("--memory", metavar="4Gi", help="Memory of one instance; MiB without a unit.")
    ] = "",
    gpus: Annotated[int, typer.Option("--gpus", min=0, help="GPUs of one instance.")] = 0,
    gpu_model: Annotated[str, typer.Option("--gpu-model", help="Words of the GPU's name.")] = "",
    disk: Annotated[
        str, typer.Option("--disk", metavar="40Gi", help="Disk of one instance; GiB without a unit.")
    ] = "",
    group: Annotated[str, typer.Option("--group", "-r", help="Only this resource group.")] = "",
    nodes: Annotated[bool, typer.Option("--nodes", help="Each node by itself, too.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Count how many more instances of a service, or of a size, fit now, and say why not more.

    Of a service, the nodes that it may use come in the order in which it uses them; each line counts what
    fits when those above are full.
    """
    shape = _shape(cpu, memory, gpus, gpu_model, disk)
    if service and (shape is not None or gpu_model):
        raise typer.BadParameter("name a service or a shape, not both")
    if not service and shape is None:
        raise typer.BadParameter("name a service, or give --cpu, --memory, --gpus or --disk")

    async def work(easel: "AsyncEasel") -> "tuple[tuple[GroupCapacity, ...], int]":
        found = await easel.capacity.get(service=service_of(service), shape=shape, resource_group=group)
        return found, await _left_out(easel, found) if output is Format.TABLE else 0

    found, spot = with_easel(work, "capacity")
    if output is not Format.TABLE:
        return dump(found, output)
    show_rows(found, output, _GROUPS, "no resource group")
    if spot:
        counted = (
            "the only public node is a spot node" if spot == 1 else f"{spot} public nodes are spot nodes"
        )
        say(f"{counted}, which a service uses only with `spot_price_limit`")
    for each in found if nodes else ():
        typer.echo(f"\n{each.tier or each.resource_group}:")
        put(table(each.on, _NODES)) if each.on else typer.echo("no nodes")
    return None


async def _left_out(easel: "AsyncEasel", found: "tuple[GroupCapacity, ...]") -> int:
    """How many spot nodes there are where no public node counts."""
    empty = (each for each in found if each.resource_group == _PUBLIC and not each.nodes)
    if all(each.tier.startswith("spot ") for each in empty):
        return 0
    return sum(each.spot and each.resource_group == _PUBLIC for each in await listed(easel.nodes.list()))


def _shape(cpu: float, memory: str, gpus: int, gpu_model: str, disk: str) -> "Shape | None":
    """None where nothing is asked for."""
    from easel_sdk.scaling_types import Shape
    from easel_sdk.types import Resources

    sizes = (_mib("--memory", memory, 1), _mib("--disk", disk, 1024))
    asked = Resources(round(cpu * 1000), *sizes, gpus)
    if asked == Resources(0, 0, 0, 0):
        return None
    return Shape(asked, gpu_model)


def _mib(option: str, text: str, bare_unit_mib: int) -> int:
    from libs.spec.quantity import parse_quantity

    if not text:
        return 0
    try:
        return parse_quantity(text, bare_unit_mib=bare_unit_mib).mib
    except ValueError:
        refused = f"{option}: got {text!r}, expected a size such as 512Mi or 4Gi"
        raise typer.BadParameter(refused) from None


def fits_text(fits: int) -> str:
    return "any number" if fits >= _UNBOUNDED else str(fits)


_GROUPS: "Columns[GroupCapacity]" = (
    ("NODES OF", lambda each: each.tier or each.resource_group),
    ("KIND", lambda each: each.kind),
    ("NODES", lambda each: each.nodes),
    ("FITS", lambda each: fits_text(each.fits)),
    ("WHY NOT MORE", lambda each: "; ".join(each.reasons)),
)
_NODES: "Columns[NodeCapacity]" = (
    ("NODE", lambda each: each.node),
    ("FITS", lambda each: fits_text(each.fits)),
    ("WHY NOT MORE", lambda each: each.why),
)


def add_to(app: typer.Typer) -> None:
    app.command("capacity", rich_help_panel="Nodes")(capacity)
