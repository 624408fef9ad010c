"""`easel autoscale`: when a service changes its size by itself."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from cli.merging import read_spec, values_of
from cli.output import Format, Output, dump, facts, put, say, show_rows, table, warn
from cli.scaling_history import Most, changes_of
from cli.service_first import ServiceFirst, service_of
from cli.session import listed, with_easel

if TYPE_CHECKING:
    from easel_sdk import AsyncEasel
    from easel_sdk.types import Autoscaler, AutoscalerWritten, MetricValue, Service

    # What is known, and which names are no measures.
    Numbers = tuple[list[MetricValue], set[str]]

autoscale = typer.Typer(
    cls=ServiceFirst,
    short_help="See and set when services change their size by themselves.",
    help="See and set when services change their size by themselves.\n\n`easel autoscale SERVICE` shows one, "
    "`easel autoscale SERVICE -D min=2 -D max=10 -D strategies.qps=10` sets one, and "
    "`easel autoscale SERVICE --dry-run -f FILE --replay last:1h` tries one.",
    no_args_is_help=True,
)
Name = Annotated[str, typer.Argument(metavar="SERVICE", help="The service's name.")]
PolicyFile = Annotated[
    str, typer.Option("-f", "-s", "--file", metavar="FILE", help="A policy, or `-`: standard input.")
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "-D",
        metavar="KEY=VALUE",
        help="One value, such as -D max=10, -D strategies.qps=10 or -D behavior.burst.enabled=false; "
        "null removes it.",
    ),
]


@autoscale.command("set")
def set_(name: Name, file: PolicyFile = "", sets: Sets = None, output: Output = Format.TABLE) -> None:
    """Set a policy: a file is the whole of it, -D KEY=VALUE changes single values of the one there is."""
    if bool(file) == bool(sets):
        raise typer.BadParameter("give either -f FILE or one or more -D KEY=VALUE, such as -D max=10")
    service = service_of(name)
    text, values = (read_spec(file, "a policy") if file else ""), values_of(sets)

    async def work(easel: "AsyncEasel") -> "AutoscalerWritten":
        if file:
            return await easel.autoscalers.set(service, text)
        from cli.policies import policy_change

        return await easel.autoscalers.set(
            service, policy_change(values, await _policy(easel, service, values)), merge=True
        )

    written = with_easel(work, "autoscale set")
    if output is not Format.TABLE:
        return dump(written, output)
    from cli.policies import bounds_text, strategies_of

    for warning in written.warnings:
        warn(warning)
    policy = written.autoscaler.policy
    by = ", by its load" if strategies_of(policy) else ""
    return say(f"{service} has {bounds_text(policy)} instances from now on{by}")


async def _policy(easel: "AsyncEasel", service: str, values: dict[str, object]) -> dict[str, object]:
    """The policy as it is now, where that matters: for entries of arrays."""
    from cli.values import reaches_into_arrays
    from easel_sdk.errors import NotFound

    if not reaches_into_arrays(values):
        return {}
    try:
        return dict((await easel.autoscalers.get(service)).policy)
    except NotFound:
        return {}


@autoscale.command("show")
def show(name: Name, output: Output = Format.TABLE) -> None:
    """Show a policy: bounds, metrics now and their thresholds, requests that wait, the last decision."""
    service = service_of(name)

    async def work(easel: "AsyncEasel") -> "tuple[Autoscaler, Service | None, Numbers, str]":
        found = await easel.autoscalers.get(service)
        if output is not Format.TABLE:
            return found, None, ([], set()), ""
        away = await _away(easel, service)
        return found, await easel.services.get(service), await _measured(easel, found), away

    found, scaled, (values, unknown), away = with_easel(work, "autoscale show")
    if scaled is None:
        return dump(found, output)
    from cli.scaling_views import METRICS, autoscaler_lines, metrics_of, rests

    if away:
        warn(away)
    now = {(each.subject, each.measure): each.value for each in values}
    put(facts(autoscaler_lines(found, stopped=rests(scaled.state))))
    metrics = metrics_of(found, now, found.ready, unknown)
    if metrics:
        typer.echo()
        put(table(metrics, METRICS))
    return None


async def _away(easel: "AsyncEasel", service: str) -> str:
    """What follows from the autoscaler being away; empty while it is there."""
    from libs.domain.causes import Cause

    findings = await easel.services.diagnose(service)
    return next((each.what for each in findings if each.cause == Cause.AUTOSCALER_AWAY), "")


async def _measured(easel: "AsyncEasel", autoscaler: "Autoscaler") -> "Numbers":
    """What the metrics of a policy are now, and which are none; nothing, and a word about it, when nobody
    can say."""
    from cli.measuring import known_numbers
    from cli.policies import measure_seconds, strategies_of
    from easel_sdk.errors import EaselError
    from easel_sdk.types import Selector

    window = timedelta(seconds=measure_seconds(autoscaler.policy))
    asked = [
        Selector(name, "service", (of or autoscaler.service,), window=window)
        for name, _, of in strategies_of(autoscaler.policy)
    ]
    try:
        return await known_numbers(easel, asked) if asked else ([], set())
    except EaselError as away:
        say(f"what its metrics are now is not known: {away}")
        return [], set()


@autoscale.command("rm")
def rm(name: Name, output: Output = Format.TABLE) -> None:
    """Remove a policy; the service keeps the size that it has, and wakes if it sleeps."""
    service = service_of(name)
    with_easel(lambda easel: easel.autoscalers.delete(service), "autoscale rm")
    done = f"{service} does not change its size by its load any more"
    say(done) if output is Format.TABLE else dump({"removed": service}, output)


@autoscale.command("list", hidden=True)
@autoscale.command("ls")
def ls(output: Output = Format.TABLE) -> None:
    """List the policies."""
    from cli.scaling_views import AUTOSCALERS

    found = with_easel(lambda easel: listed(easel.autoscalers.list()), "autoscale ls")
    show_rows(found, output, AUTOSCALERS, "no service changes its size by itself")


@autoscale.command("history")
def history(
    name: Name,
    most: Most = 20,
    output: Output = Format.TABLE,
) -> None:
    """Show every change of a service's size, newest first, with what was measured and why."""
    from cli.scaling_views import SCALINGS

    service = service_of(name)
    scalings = changes_of(service, most, "autoscale history")
    show_rows(scalings, output, SCALINGS, f"the size of {service} was never changed")


def add_to(app: typer.Typer) -> None:
    from cli.commands.autoscale_replay import replay

    autoscale.command("replay")(replay)
    app.add_typer(autoscale, name="autoscale", rich_help_panel="Numbers and scaling")
