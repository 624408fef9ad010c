"""`easel top`: what is busy now."""

from collections.abc import AsyncIterator, Mapping
from contextlib import nullcontext
from datetime import timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.output import Format, Output, dump, fitting, out, put, say, table
from cli.quantities import length_of
from cli.service_first import service_of
from cli.session import listed, with_easel

if TYPE_CHECKING:
    from cli.top_views import Row, Shown
    from easel_sdk import AsyncEasel

_KINDS = ("services", "nodes", "instances", "gpus", "gateways")
_LONGEST = timedelta(hours=1)
# Beside the rows of a live table: its heading, what has no room, and the line that the cursor is in.
_OTHER_LINES = 4


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
    length, service = length_of("--window", window), service_of(service)
    if length > _LONGEST:
        raise typer.BadParameter(
            f"--window: got {window!r}, expected 1h at most; Prometheus keeps what is older"
        )
    asked = selectors(shown, service, length)

    async def work(easel: "AsyncEasel") -> None:
        if service:
            await _is_there(easel, service)
        if watch:
            return await _follow(easel, shown, service, asked, sort, output)
        facts = await _facts(easel, shown, service)
        rows = _rows(shown, await easel.metrics.instant(*asked), facts, sort)
        return _show(shown, rows, facts, output)

    with_easel(work, "top")


async def _is_there(easel: "AsyncEasel", service: str) -> None:
    """Raises `NotFound`, with the kind that was probably meant by the name."""
    from easel_sdk.errors import NotFound

    try:
        await easel.services.get(service)
    except NotFound as unknown:
        if near := get_close_matches(service, _KINDS, 1):
            raise NotFound(f"{unknown}; did you mean `easel top {near[0]}`?") from unknown
        raise


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


def _show(shown: "Shown", rows: "list[Row]", facts: Any, output: Format, *, line: bool = False) -> None:
    from cli.top_views import columns, nothing, told

    if output is not Format.TABLE:
        return dump([told(shown, row) for row in rows], output, line=line)
    if not rows:
        return say(nothing(shown, facts))
    return put(table(rows, columns(shown, rows)))


async def _follow(
    easel: "AsyncEasel", shown: "Shown", service: str, asked: Any, sort: str, output: Format
) -> None:
    from rich.live import Live

    from cli.top_views import columns, nothing

    console = out()
    live = output is Format.TABLE and console.is_terminal
    with Live(console=console, auto_refresh=False, screen=True) if live else nullcontext() as picture:
        async for rows, facts in _followed(easel, shown, service, asked, sort):
            if picture is None:
                _show(shown, rows, facts, output, line=True)
            else:
                seen = rows[: max(console.height - _OTHER_LINES, 1)]
                picture.update(
                    fitting(seen, columns(shown, seen), console.width) if seen else nothing(shown, facts),
                    refresh=True,
                )


async def _followed(
    easel: "AsyncEasel", shown: "Shown", service: str, asked: Any, sort: str
) -> "AsyncIterator[tuple[list[Row], Mapping[str, Mapping[str, str]]]]":
    """The rows once a second, and the facts beside them, asked for anew when there is something new."""
    facts = await _facts(easel, shown, service)
    async for told in easel.metrics.watch(*asked):
        if facts and any(value.subject not in facts for value in told.values):
            facts = await _facts(easel, shown, service)
        yield _rows(shown, told, facts, sort), facts


def add_to(app: typer.Typer) -> None:
    app.command("top", rich_help_panel="Numbers and scaling")(top)
