"""`easel top`: what is busy now."""

from collections.abc import AsyncIterator, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.output import Format, Output, dump, out, put, say, table
from cli.quantities import length_of
from cli.session import listed, with_easel

if TYPE_CHECKING:
    from cli.top_views import Row, Shown
    from easel_sdk import AsyncEasel

_KINDS = ("services", "nodes", "instances", "gpus", "gateways")
# Above the rows of a live table: its heading, and the line that the cursor is in.
_OTHER_LINES = 3


def top(
    kind: Annotated[
        str,
        typer.Argument(metavar="[KIND]", help="services, nodes, instances, gpus or gateways; or a SERVICE."),
    ] = "services",
    service: Annotated[str, typer.Argument(metavar="[SERVICE]", help="Only this service's.")] = "",
    watch: Annotated[bool, typer.Option("-w", "--watch", help="Show it anew every second.")] = False,
    sort: Annotated[
        str, typer.Option("--sort", metavar="COLUMN", help="The largest first, such as qps or cpu; or name.")
    ] = "",
    window: Annotated[
        str, typer.Option("--window", metavar="10s", help="Over how long numbers are taken, an hour at most.")
    ] = "10s",
    output: Output = Format.TABLE,
) -> None:
    """Show what services, nodes, instances, GPUs or gateways do now.

    Latencies and rates are those of the last ten seconds unless --window says otherwise; CPU and memory are
    shares of what an instance asks for. – is a number that is not known: nothing reports it, or none has come
    for ten seconds.
    """
    from cli.top_views import Shown, order_exists, orders, selectors

    if kind not in _KINDS:
        kind, service = ("services", kind) if not service else (kind, service)
    if kind not in _KINDS:
        raise typer.BadParameter(f"KIND: got {kind!r}, expected one of {', '.join(_KINDS)}")
    shown = Shown(kind)
    if service and shown not in (Shown.SERVICES, Shown.INSTANCES):
        raise typer.BadParameter(f"{kind} are not of a service; leave {service!r} out")
    if not order_exists(shown, sort):
        raise typer.BadParameter(f"--sort: got {sort!r}, expected one of {', '.join(orders(shown))}")
    asked = selectors(shown, service, length_of("--window", window))

    async def work(easel: "AsyncEasel") -> None:
        if service:
            await easel.services.get(service)
        if watch:
            return await _follow(easel, shown, service, asked, sort, output)
        facts = await _facts(easel, shown, service)
        return _show(shown, _rows(shown, await easel.metrics.instant(*asked), facts, sort), output)

    with_easel(work, "top")


async def _facts(easel: "AsyncEasel", shown: "Shown", service: str) -> Mapping[str, Mapping[str, str]]:
    """What is shown beside the numbers, by subject."""
    from cli.top_views import Shown, gpu_facts, instance_facts

    if shown is Shown.INSTANCES:
        return instance_facts(await listed(easel.instances.list(service=service)))
    if shown is Shown.GPUS:
        return gpu_facts(await listed(easel.nodes.list()))
    return {}


def _rows(shown: "Shown", told: Any, facts: Mapping[str, Mapping[str, str]], sort: str) -> "list[Row]":
    from cli.top_views import ordered, rows

    return ordered(rows(shown, told, facts), shown, sort)


def _show(shown: "Shown", rows: "list[Row]", output: Format, *, line: bool = False) -> None:
    from cli.top_views import columns, told

    if output is not Format.TABLE:
        return dump([told(shown, row) for row in rows], output, line=line)
    if not rows:
        return say(f"no numbers of {shown} yet")
    return put(table(rows, columns(shown, rows)))


async def _follow(
    easel: "AsyncEasel", shown: "Shown", service: str, asked: Any, sort: str, output: Format
) -> None:
    from rich.live import Live

    from cli.top_views import columns

    console = out()
    live = output is Format.TABLE and console.is_terminal
    with Live(console=console, auto_refresh=False, screen=True) if live else nullcontext() as picture:
        async for rows in _followed(easel, shown, service, asked, sort):
            if picture is None:
                _show(shown, rows, output, line=True)
            else:
                seen = rows[: max(console.height - _OTHER_LINES, 1)]
                picture.update(table(seen, columns(shown, seen)) if seen else "no numbers yet", refresh=True)


async def _followed(
    easel: "AsyncEasel", shown: "Shown", service: str, asked: Any, sort: str
) -> "AsyncIterator[list[Row]]":
    """The rows once a second; facts are asked for anew when there is something new."""
    facts = await _facts(easel, shown, service)
    async for told in easel.metrics.watch(*asked):
        if facts and any(value.subject not in facts for value in told.values):
            facts = await _facts(easel, shown, service)
        yield _rows(shown, told, facts, sort)


def add_to(app: typer.Typer) -> None:
    app.command("top", rich_help_panel="Numbers and scaling")(top)
