"""`easel metrics`: the numbers of one service, now and over the last time."""

import shutil
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.output import Format, Output, dump, out, put, say, table
from cli.quantities import length_of
from cli.service_first import service_of
from cli.session import with_easel

if TYPE_CHECKING:
    from easel_sdk import AsyncEasel
    from easel_sdk.types import MetricSeries, MetricValues, Selector

_USUAL = ("qps", "rt[p50]", "rt[p99]", "errors", "in_flight", "waiting", "cpu", "memory", "instances")
_OF_INSTANCES = ("cpu", "memory_bytes", "connections")
_CHARTS = ("qps", "rt[p99]", "instances")
# Others are taken over a window.
_NOW = ("instances", "wanted", "in_flight", "waiting", "connections")
_WINDOW = timedelta(seconds=10)
_HEIGHT, _WIDTH, _MOST_WIDTH = 10, 80, 140


def metrics(
    name: Annotated[str, typer.Argument(metavar="SERVICE", help="The service's name.")],
    measures: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MEASURE]...", help=r"Such as qps, rt\[p99], gpu\[util], custom\[tokens]."),
    ] = None,
    last: Annotated[
        str, typer.Option("--last", metavar="5m", help="How far back charts go, such as 30s, 5m or 6h.")
    ] = "5m",
    watch: Annotated[bool, typer.Option("-w", "--watch", help="Draw it anew every second.")] = False,
    instances: Annotated[
        bool, typer.Option("--instances", help="Each instance by itself instead of the service.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Show the numbers of a service now, and on a terminal how they came to be.

    Without a terminal the numbers are plain lines, one a measure (with --watch, one line a second). JSON and
    YAML hold the points of the last time.
    """
    length = length_of("--last", last)
    if length < timedelta(seconds=1):
        raise typer.BadParameter(f"--last: got {last!r}, expected 1s at least")
    kind, name = "instance" if instances else "service", service_of(name)
    asked = measures or list(_OF_INSTANCES if instances else _USUAL)
    chosen = [_selector(measure, kind, name) for measure in asked]
    drawn = chosen if measures or instances else [each for each in chosen if each.measure in _CHARTS]

    async def work(easel: "AsyncEasel") -> None:
        from cli.measuring import nothing_text, refuse_undeclared

        service, told = await easel.services.get(name), await _now(easel, chosen)
        refuse_undeclared(service, asked, {each.measure for each in told.values})
        if output is not Format.TABLE:
            return await _points(easel, chosen, length, watch, output)
        if watch:
            return await _watch(easel, name, chosen, drawn, length)
        if not told.values:
            return say(nothing_text(service, asked, kind))
        put(_numbers(told, kind, asked))
        if out().is_terminal:
            size = shutil.get_terminal_size((_WIDTH, 24))
            for picture in await _charts(easel, drawn, length, min(size.columns, _MOST_WIDTH), _HEIGHT):
                typer.echo(f"\n{picture}")
        return None

    with_easel(work, "metrics")


async def _now(easel: "AsyncEasel", selectors: "Sequence[Selector]") -> "MetricValues":
    """Raises `InvalidRequest` for what is no measure, by the name that it has on the command line."""
    from cli.measuring import as_typed
    from easel_sdk.errors import InvalidRequest

    try:
        return await easel.metrics.instant(*selectors)
    except InvalidRequest as refused:
        raise as_typed(refused) from refused


def _selector(measure: str, kind: str, service: str) -> "Selector":
    from easel_sdk.types import Selector

    now = measure in _NOW or measure.startswith("custom[")
    window = timedelta() if now else _WINDOW
    if kind == "instance":
        return Selector(measure, kind, of_service=service, window=window)
    return Selector(measure, kind, (service,), window=window)


def _numbers(told: "MetricValues", kind: str, asked: Sequence[str]) -> Any:
    """The newest numbers: one row a measure, or one an instance."""
    from cli.numbers import measured

    found = {(each.subject, each.measure): each.value for each in told.values}
    if kind == "instance":
        subjects = sorted({each.subject for each in told.values})
        shown = [(each.upper(), partial(_of, found=found, measure=each)) for each in asked]
        return table(subjects, (("INSTANCE", str), *shown))
    values = {measure: value for (_, measure), value in found.items()}
    rows = [(each, measured(each, values.get(each))) for each in asked]
    return table(rows, (("MEASURE", lambda row: row[0]), ("NOW", lambda row: row[1])))


def _of(subject: str, found: Mapping[tuple[str, str], float], measure: str) -> str:
    from cli.numbers import measured

    return measured(measure, found.get((subject, measure)))


async def _series(
    easel: "AsyncEasel", selectors: "Sequence[Selector]", length: timedelta
) -> "list[MetricSeries]":
    from cli.measuring import longer_than_kept
    from cli.quantities import length_text
    from easel_sdk.errors import InvalidRequest

    over_steps = [replace(each, window=timedelta()) for each in selectors]
    try:
        return [found for each in over_steps for found in await easel.metrics.range(each, last=length)]
    except InvalidRequest as refused:
        if refused.field != "last_s":
            raise
        raise longer_than_kept(refused, "--last", length_text(length)) from None


async def _points(
    easel: "AsyncEasel", selectors: "Sequence[Selector]", length: timedelta, watch: bool, output: Format
) -> None:
    """For programs: the points of each series, or what comes each second."""
    if not watch:
        found = [each for each in await _series(easel, selectors, length) if each.points]
        return dump([_told(each) for each in found], output)
    async for told in easel.metrics.watch(*selectors):
        values = [
            {"measure": each.measure, each.kind: each.subject, "value": each.value} for each in told.values
        ]
        dump({"at": told.at, "values": values}, output, line=True)
    return None


def _told(series: "MetricSeries") -> dict[str, object]:
    return {"measure": series.measure, series.kind: series.subject, "points": series.points}


async def _charts(
    easel: "AsyncEasel", selectors: "Sequence[Selector]", length: timedelta, width: int, height: int
) -> list[str]:
    from cli.charts import chart
    from cli.numbers import measured

    end = datetime.now(UTC)
    pictures = []
    for series in await _series(easel, selectors, length):
        if series.points:
            whose = f"{series.subject}: " if series.kind == "instance" else ""
            title = f"{whose}{series.measure} {measured(series.measure, series.points[-1].value)}"
            newest = max(end, series.points[-1].at)
            read = partial(measured, series.measure)
            picture = chart(
                *(title, series.points, newest - length, newest),
                width=width,
                height=height,
                read=read,
                whole=series.measure in ("instances", "wanted"),
            )
            pictures.append(picture)
    return pictures


async def _watch(
    easel: "AsyncEasel",
    name: str,
    chosen: "Sequence[Selector]",
    drawn: "Sequence[Selector]",
    length: timedelta,
) -> None:
    from rich.console import Group
    from rich.live import Live
    from rich.text import Text

    from cli.numbers import measured

    console = out()
    kind, asked = chosen[0].kind, [each.measure for each in chosen]
    live = Live(console=console, auto_refresh=False, screen=True) if console.is_terminal else nullcontext()
    with live as picture:
        async for told in easel.metrics.watch(*chosen):
            if picture is None:
                whose = "" if kind == "service" else "{0.subject} "
                words = [
                    f"{whose.format(each)}{each.measure}={measured(each.measure, each.value)}"
                    for each in told.values
                ]
                at = told.at or datetime.now(UTC)
                typer.echo(f"{at:%H:%M:%S}  {'  '.join(words) or f'no numbers of {name} now'}")
                continue
            lines = 1 + len(told.values)
            height = max((console.height - lines - 2) // max(len(drawn), 1), 6)
            pictures = await _charts(easel, drawn, length, min(console.width, _MOST_WIDTH), height)
            shown = _numbers(told, kind, asked) if told.values else f"no numbers of {name} now"
            picture.update(Group(shown, *(Text(each) for each in pictures)), refresh=True)


def add_to(app: typer.Typer) -> None:
    app.command("metrics", rich_help_panel="Numbers and scaling")(metrics)
