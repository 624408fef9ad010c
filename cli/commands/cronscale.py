"""`easel cronscale`: the sizes of a service at certain times."""

from typing import Annotated

import typer

from cli.merging import read_spec
from cli.output import Format, Output, dump, put, say, show_rows, table, warn
from cli.scaling_history import Most, changes_of
from cli.service_first import ServiceFirst, service_of
from cli.session import with_easel

cronscale = typer.Typer(
    cls=ServiceFirst,
    short_help="See and set the sizes of services at certain times.",
    help="See and set the sizes of services at certain times.\n\n"
    "`easel cronscale SERVICE` shows one schedule, `easel cronscale SERVICE -s FILE.json` sets one.",
    no_args_is_help=True,
)
Name = Annotated[str, typer.Argument(metavar="SERVICE", help="The service's name.")]


@cronscale.command("set")
def set_(
    name: Name,
    file: Annotated[
        str,
        typer.Option(
            "-s",
            "-f",
            "--file",
            metavar="FILE",
            help='{"ScaleJobs": [{"Name", "Schedule", "TargetSize", "TimeZone"}], "ExcludeDates": []}',
        ),
    ],
    output: Output = Format.TABLE,
) -> None:
    """Set a schedule, in the place of the one there was."""
    from cli.scaling_views import next_run

    service, text = service_of(name), read_spec(file, "a schedule")
    written = with_easel(lambda easel: easel.cronscalers.set(service, text), "cronscale set")
    if output is not Format.TABLE:
        return dump(written, output)
    for warning in written.warnings:
        warn(warning)
    jobs = written.cronscaler.jobs
    some = any(each.next_run_at for each in jobs)
    return say(
        f"{service} has a schedule; it is due "
        + (f"next at {next_run(jobs)}" if some else "no more: all of its times have passed")
    )


@cronscale.command("show")
def show(name: Name, output: Output = Format.TABLE) -> None:
    """Show a schedule: each job, what became of it when it was due last, and when it is due next."""
    from cli.scaling_views import JOBS

    found = with_easel(lambda easel: easel.cronscalers.get(service_of(name)), "cronscale show")
    if output is not Format.TABLE:
        return dump(found, output)
    put(table(found.jobs, JOBS))
    excluded = found.policy.get("ExcludeDates") or ()
    return say(f"not on days of {', '.join(map(repr, excluded))}") if excluded else None


@cronscale.command("rm")
def rm(name: Name, output: Output = Format.TABLE) -> None:
    """Remove a schedule; the service keeps the size and the bounds that it has."""
    service = service_of(name)
    with_easel(lambda easel: easel.cronscalers.delete(service), "cronscale rm")
    done = f"{service} has no schedule any more"
    say(done) if output is Format.TABLE else dump({"removed": service}, output)


@cronscale.command("list", hidden=True)
@cronscale.command("ls")
def ls(output: Output = Format.TABLE) -> None:
    """List the schedules."""
    from cli.scaling_views import CRONSCALERS
    from cli.session import listed

    found = with_easel(lambda easel: listed(easel.cronscalers.list()), "cronscale ls")
    show_rows(found, output, CRONSCALERS, "no service has a schedule")


@cronscale.command("history")
def history(
    name: Name,
    most: Most = 20,
    output: Output = Format.TABLE,
) -> None:
    """Show the changes of size that a schedule made, newest first."""
    from cli.scaling_views import SCALINGS

    service = service_of(name)
    scalings = changes_of(service, most, "cronscale history", policy="timed")
    show_rows(scalings, output, SCALINGS, f"no schedule has changed the size of {service} yet")


def add_to(app: typer.Typer) -> None:
    app.add_typer(cronscale, name="cronscale", rich_help_panel="Numbers and scaling")
