"""`easel traffic` and `easel direct`: what came in for a service, and where it comes in past the gateway."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.output import Format, Output, dump, out, put, say, show_rows, table
from cli.quantities import length_of
from cli.session import with_easel

if TYPE_CHECKING:
    from rich.live import Live

    from easel_sdk import AsyncEasel
    from easel_sdk.types import ServiceTraffic, Traffic

_LATENCY_SECONDS = 10.0
Name = Annotated[str, typer.Argument(metavar="SERVICE", help="The service's name.")]


def traffic(
    name: Name,
    watch: Annotated[
        bool, typer.Option("-w", "--watch", help="Show again and again how many come a second.")
    ] = False,
    every: Annotated[
        str, typer.Option("--every", metavar="2s", help="With --watch: how long between two looks.")
    ] = "2s",
    output: Output = Format.TABLE,
) -> None:
    """Show what the gateways counted for each version of a service: answers, refusals, latency.

    RATE 429 counts refusals for a rate, FULL those with 429 or 450 for requests in flight, LATE 408 those
    without an answer within the keepalive. Counts begin anew with an Envoy, and those of a version go with it
    once it is replaced. VERSION – is what was refused before a version was chosen. P50 and P99 are – until
    Envoy has summed latencies up, which it does every few seconds. While it watches, latencies are those of
    the last ten seconds.
    """
    if watch:
        seconds = length_of("--every", every).total_seconds()
        return with_easel(lambda easel: _watch(easel, name, seconds, output), "traffic")
    found = with_easel(lambda easel: easel.traffic.get(name), "traffic")
    if output is not Format.TABLE:
        from cli.traffic_numbers import told

        return dump({"versions": [told(each) for each in found.versions], "notes": found.notes}, output)
    _notes(found)
    if not found.versions:
        return say(f"nothing was counted for {name} yet")
    return put(_table(found.versions))


def _notes(found: "Traffic") -> None:
    for note in found.notes:
        say(note)


def _table(rows: "tuple[ServiceTraffic, ...] | list[ServiceTraffic]", seconds: float | None = None) -> Any:
    from cli.traffic_numbers import traffic_columns

    return table(rows, traffic_columns(rows, seconds))


async def looks(
    easel: "AsyncEasel", name: str, seconds: float
) -> "AsyncIterator[tuple[Traffic, list[ServiceTraffic], float]]":
    """What was counted since the look before, and in how many seconds, again and again.

    Latencies are those of the last ten seconds: Envoy sums them up less often than it counts.
    """
    from cli.traffic_numbers import since

    seen = [(time.monotonic(), await easel.traffic.get(name))]
    while True:
        await asyncio.sleep(seconds)
        now, found = time.monotonic(), await easel.traffic.get(name)
        at, before = seen[-1]
        late = since(seen[0][1].versions, found.versions)
        rows = zip(since(before.versions, found.versions), late, strict=True)
        yield found, [replace(row, latency=wide.latency) for row, wide in rows], now - at
        seen = [*(look for look in seen if now - look[0] < _LATENCY_SECONDS), (now, found)]


async def _watch(easel: "AsyncEasel", name: str, seconds: float, output: Format) -> None:
    from cli.traffic_numbers import told

    live = output is Format.TABLE and out().is_terminal
    with _picture() if live else nullcontext() as picture:
        async for found, rows, took in looks(easel, name, seconds):
            if output is not Format.TABLE:
                versions = [told(each) for each in rows]
                dump(
                    {"seconds": round(took, 3), "versions": versions, "notes": found.notes}, output, line=True
                )
            elif picture is not None:
                picture.update(_table(rows, took), refresh=True)
            else:
                put(_table(rows, took))


def _picture() -> "Live":
    from rich.live import Live

    return Live(console=out(), auto_refresh=False)


def direct(name: Name, output: Output = Format.TABLE) -> None:
    """Show where clients that connect directly reach a service, as its gateway tells them."""
    from cli.traffic_views import UPSTREAMS

    found = with_easel(lambda easel: easel.direct(name), "direct")
    show_rows(found, output, UPSTREAMS, f"{name} has no place to connect to directly now")


def add_to(app: typer.Typer) -> None:
    for command in (traffic, direct):
        app.command(command.__name__, rich_help_panel="Traffic")(command)
