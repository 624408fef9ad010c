"""`easel autoscale replay`: what a policy would have done."""

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.merging import read_spec
from cli.output import Format, Output, dump, facts, out, put, say, table
from cli.service_first import service_of
from cli.session import with_easel

if TYPE_CHECKING:
    from easel_sdk import AsyncEasel
    from easel_sdk.types import LoadPoint, Replay

_HEIGHT, _WIDTH, _MOST_WIDTH = 10, 80, 140
_FINE = timedelta(minutes=5)


def replay(
    name: Annotated[str, typer.Argument(metavar="SERVICE", help="The service's name.")],
    source: Annotated[
        str, typer.Option("--replay", metavar="last:1h|FILE.csv", help="The load to play.")
    ] = "last:1h",
    file: Annotated[
        str,
        typer.Option("-f", "-s", "--file", metavar="FILE", help="The policy; without it, the one there is."),
    ] = "",
    schedule: Annotated[
        str, typer.Option("--cron", metavar="FILE", help="A schedule to play with it, or by itself.")
    ] = "",
    instances: Annotated[
        int | None,
        typer.Option("--instances", help="How many there are at the beginning; the policy's min.", min=0),
    ] = None,
    start_seconds: Annotated[
        float, typer.Option("--start-seconds", help="How long an instance takes to be ready.", min=0)
    ] = 10.0,
    prometheus: Annotated[
        str, typer.Option("--prometheus", metavar="URL", help="Where to read what is older than an hour.")
    ] = "",
    _: Annotated[bool, typer.Option("--dry-run", help="What it does anyway.", hidden=True)] = False,
    output: Output = Format.TABLE,
) -> None:
    """Show what a policy would have done with a load; nothing is changed.

    The load is that of the last time, an hour at most or from Prometheus, or a CSV file with a time and a
    column for each measure.
    """
    from cli.loads import LONGEST, last_of

    service, last = service_of(name), last_of(source)
    text = read_spec(file, "a policy") if file else ""
    timed = read_spec(schedule, "a schedule") if schedule else None
    if last is not None and last > LONGEST and not prometheus:
        raise typer.BadParameter(
            f"--replay: got {source!r}, and metrics are kept for an hour; "
            "give --prometheus URL to read what is older from it, or a CSV file"
        )

    async def work(easel: "AsyncEasel") -> "tuple[list[LoadPoint], Mapping[str, Any], Replay]":
        policy = _policy(text) if text else await _current(easel, service, timed is not None)
        if last is None:
            from cli.loads import load_of_csv

            load = load_of_csv(read_spec(source, "a CSV file"), source)
        else:
            load = await _last(easel, service, policy, last, prometheus)
        first = int(policy.get("min", 1)) if instances is None else instances
        played = await easel.autoscalers.replay(
            load,
            text or (policy or None),
            schedule=timed,
            instances=first,
            start=timedelta(seconds=start_seconds),
        )
        return load, policy, played

    load, policy, played = with_easel(work, "autoscale replay")
    if output is not Format.TABLE:
        return dump(played, output)
    return _show(load, policy, played)


def _policy(text: str) -> Mapping[str, Any]:
    """The policy as far as it can be read here; the service that plays it says what is wrong with it."""
    import json

    try:
        found = json.loads(text)
    except ValueError:
        return {}
    inner = found.get("autoscaler", found) if isinstance(found, dict) else {}
    return inner if isinstance(inner, dict) else {}


async def _current(easel: "AsyncEasel", service: str, timed: bool) -> Mapping[str, Any]:
    from easel_sdk.errors import NotFound

    try:
        return (await easel.autoscalers.get(service)).policy
    except NotFound:
        if timed:
            return {}
        raise


async def _last(
    easel: "AsyncEasel", service: str, policy: Mapping[str, Any], last: timedelta, prometheus: str
) -> "list[LoadPoint]":
    """What the policy's metrics were; each as a whole, or the mean of an instance."""
    from cli.loads import curves_of_series, load_of_curves
    from cli.policies import named, strategies_of
    from easel_sdk.errors import FailedPrecondition
    from easel_sdk.types import Selector

    # What holds a service at zero, or wakes it, is measured as well.
    asked = {named(name, of): (name, of or service) for name, _, of in strategies_of(policy)}
    asked = asked or {"qps": ("qps", service)}
    if policy.get("min") == 0:
        asked = {"concurrency": ("concurrency", service), **asked}
    found: dict[str, list[tuple[datetime, float]]] = {}
    if prometheus:
        from cli.prometheus import curve

        end = datetime.now(UTC).replace(microsecond=0)
        for name, (measure, of) in asked.items():
            found[name] = await curve(prometheus, measure, of, end, last)
    else:
        for name, (measure, of) in asked.items():
            # As fine as is kept: a policy looks at seconds.
            step = timedelta(seconds=1 if last <= _FINE else 10)
            series = await easel.metrics.range(Selector(measure, "service", (of,)), last=last, step=step)
            found[name] = curves_of_series(series).get(measure, [])
    if not any(found.values()):
        await easel.services.get(service)  # An unknown service is what is to be said first.
        raise FailedPrecondition(
            f"nothing was measured of {service} in that time; give a CSV file to --replay"
        )
    return load_of_curves(found)


def _show(load: "list[LoadPoint]", policy: Mapping[str, Any], played: "Replay") -> None:
    from cli.scaling_views import STEPS, replay_lines

    put(facts(replay_lines(played)))
    typer.echo()
    put(table(played.steps, STEPS))
    if len(played.steps) == 1:
        say("the size would not have changed")
    if not out().is_terminal:
        return
    from cli.charts import chart
    from cli.loads import column
    from cli.numbers import measured
    from cli.policies import named, strategies_of
    from easel_sdk.types import MetricPoint

    begin, end = load[0].at, load[-1].at
    width = min(shutil.get_terminal_size((_WIDTH, 24)).columns, _MOST_WIDTH)
    steps = [MetricPoint(each.at, each.instances) for each in played.steps if each.at is not None]
    steps += [MetricPoint(end, steps[-1].value)] if steps else []
    typer.echo(f"\n{chart('instances', steps, begin, end, width=width, height=_HEIGHT, steps=True)}")
    for name, measure in {named(name, of): name for name, _, of in strategies_of(policy)}.items():
        points = [MetricPoint(at, value) for at, value in column(load, name)]
        if points:
            read = partial(measured, measure)
            typer.echo(f"\n{chart(name, points, begin, end, width=width, height=_HEIGHT, read=read)}")
