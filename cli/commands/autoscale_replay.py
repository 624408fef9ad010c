"""`easel autoscale replay`: what a policy would have done."""

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.merging import read_spec
from cli.output import Format, Output, dump, facts, out, put, say, table, warn
from cli.service_first import service_of
from cli.session import with_easel

if TYPE_CHECKING:
    from cli.loads import Load
    from easel_sdk import AsyncEasel
    from easel_sdk.types import LoadPoint, Replay

_HEIGHT, _WIDTH, _MOST_WIDTH = 10, 80, 140
# What tells a service that may sleep whether there is anything to do.
_REQUESTS = ("qps", "concurrency", "in_flight")


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
        typer.Option(
            "--instances", help="How many there are at the beginning; the policy's min.", min=0, max=3000
        ),
    ] = None,
    start_seconds: Annotated[
        float,
        typer.Option("--start-seconds", help="How long an instance takes to be ready.", min=0, max=86_400),
    ] = 10.0,
    prometheus: Annotated[
        str,
        typer.Option(
            "--prometheus", metavar="URL", help="Read the load from there; for what metrics keeps no more."
        ),
    ] = "",
    _: Annotated[bool, typer.Option("--dry-run", help="What it does anyway.", hidden=True)] = False,
    output: Output = Format.TABLE,
) -> None:
    """Show what a policy would have done with a load; nothing is changed.

    The load is that of the last time, as metrics (for a day) or Prometheus keeps it, or a CSV file with a
    time and a column for each measure.
    """
    from cli.loads import Load, last_of

    service, last = service_of(name), last_of(source)
    if prometheus and not prometheus.startswith(("http://", "https://")):
        expected = "a URL such as http://127.0.0.1:9090"
        raise typer.BadParameter(f"--prometheus: got {prometheus!r}, expected {expected}")
    text = _checked(read_spec(file, "a policy"), timed=False) if file else ""
    timed = _checked(read_spec(schedule, "a schedule"), timed=True) if schedule else None

    async def work(easel: "AsyncEasel") -> "tuple[Load, Mapping[str, Any], Replay]":
        policy = _policy(text) if text else await _current(easel, service, timed is not None)
        if last is None:
            load = _of_file(source, policy, timed is not None)
        else:
            load = Load(await _last(easel, service, policy, last, prometheus))
        first = int(policy.get("min", 1)) if instances is None else instances
        played = await easel.autoscalers.replay(
            load.points,
            text or (policy or None),
            schedule=timed,
            instances=first,
            start=timedelta(seconds=start_seconds),
        )
        return load, policy, played

    load, policy, played = with_easel(work, "autoscale replay")
    if output is not Format.TABLE:
        return dump(_told(load, played), output)
    return _show(load, policy, played)


def _checked(text: str, *, timed: bool) -> str:
    """A policy or a schedule that can be read. Raises `InvalidSpec`."""
    from libs.spec import parse_autoscaler, parse_cronscaler

    _ = parse_cronscaler(text) if timed else parse_autoscaler(text)
    return text


def _policy(text: str) -> Mapping[str, Any]:
    import json

    found = json.loads(text)
    inner: Mapping[str, Any] = found.get("autoscaler", found) or {}
    return inner


def _of_file(source: str, policy: Mapping[str, Any], timed: bool) -> "Load":
    """The load of a CSV file, and a word about what of it is not used."""
    from cli.loads import check_columns, load_of_csv
    from cli.policies import named, strategies_of

    load = load_of_csv(read_spec(source, "a CSV file"), source)
    metrics = [named(name, of) for name, _, of in strategies_of(policy)]
    others = {"instances"} | (set(_REQUESTS) if timed or policy.get("min") == 0 else set())
    for each in check_columns(load.points, metrics, others, source):
        warn(each)
    if timed and load.zero is not None:
        warn(
            f"{source} has seconds and no times of day; for the schedule, 0 is {load.zero:%Y-%m-%d %H:%M:%S}Z"
        )
    return load


def _told(load: "Load", played: "Replay") -> object:
    """For programs: of a load that has no times, steps have `seconds` instead of `at`."""
    from cli.output import plain
    from cli.scaling_views import seconds_since

    if load.zero is None:
        return played
    steps = [
        {"seconds": step.at and seconds_since(load.zero, step.at), **plain(step)} for step in played.steps
    ]
    for step in steps:
        del step["at"]
    return {**plain(played), "steps": steps}


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
    """What the policy's metrics were; each as a whole, or the mean of an instance. Says what is not known."""
    from cli.loads import known_text, load_of_curves, missing_text
    from cli.measuring import longer_than_kept
    from cli.policies import named, strategies_of
    from cli.quantities import length_text
    from easel_sdk.errors import FailedPrecondition, InvalidRequest

    # What holds a service at zero, or wakes it, is measured as well.
    asked = {named(name, of): (name, of or service) for name, _, of in strategies_of(policy)}
    metrics, asked = list(asked), asked or {"qps": ("qps", service)}
    if policy.get("min") == 0:
        asked = {"concurrency": ("concurrency", service), **asked}
    found: dict[str, list[tuple[datetime, float]]] = {}
    end = datetime.now(UTC).replace(microsecond=0)
    for name, (measure, of) in asked.items():
        try:
            found[name] = await _curve(easel, measure, of, end, last, prometheus)
        except InvalidRequest as refused:
            if refused.field == "last_s":
                raise longer_than_kept(refused, "--replay", f"last:{length_text(last)}") from None
            warn(f"{name} is no metric: it is missing all the time, and nothing is scaled in")
    if not any(found.values()):
        await easel.services.get(service)  # An unknown service is what is to be said first.
        raise FailedPrecondition(
            f"nothing was measured of {service} in that time; give a CSV file to --replay"
        )
    for name in (name for name in metrics if name in found and not found[name]):
        warn(missing_text("that time", name))
    load = load_of_curves(found)
    if few := known_text(load, last):
        warn(few)
    return load


async def _curve(
    easel: "AsyncEasel", measure: str, of: str, end: datetime, last: timedelta, prometheus: str
) -> list[tuple[datetime, float]]:
    """One measure. Raises `InvalidRequest` for one that is none."""
    if prometheus:
        from cli.prometheus import curve

        return await curve(prometheus, measure, of, end, last)
    from cli.loads import curves_of_series, step_of
    from easel_sdk.types import Selector

    series = await easel.metrics.range(Selector(measure, "service", (of,)), last=last, step=step_of(last))
    return curves_of_series(series).get(measure, [])


def _show(load: "Load", policy: Mapping[str, Any], played: "Replay") -> None:
    from cli.scaling_views import replay_lines, since_text, step_columns

    put(facts(replay_lines(played)))
    typer.echo()
    put(table(played.steps, step_columns(load.zero)))
    if len(played.steps) == 1:
        say("the size would not have changed")
    if not out().is_terminal:
        return
    from cli.charts import chart
    from cli.loads import column
    from cli.numbers import measured
    from cli.policies import named, strategies_of
    from easel_sdk.types import MetricPoint

    begin, end = load.points[0].at, load.points[-1].at
    width = min(shutil.get_terminal_size((_WIDTH, 24)).columns, _MOST_WIDTH)
    steps = [MetricPoint(each.at, each.instances) for each in played.steps if each.at is not None]
    steps += [MetricPoint(end, steps[-1].value)] if steps else []
    draw = partial(chart, begin=begin, end=end, width=width, height=_HEIGHT)
    if load.zero is not None:
        draw = partial(draw, when=partial(since_text, load.zero))
    typer.echo(f"\n{draw('instances', steps, steps=True, whole=True)}")
    for name, measure in {named(name, of): name for name, _, of in strategies_of(policy)}.items():
        points = [MetricPoint(at, value) for at, value in column(load.points, name)]
        if points:
            typer.echo(f"\n{draw(name, points, read=partial(measured, measure))}")
