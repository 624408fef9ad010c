"""The `easel` command: what it can do, and how it ends.

Commands import what they need when they run, so that help and completion are quick.
"""

import sys
from typing import Annotated

import typer

from cli.commands import (
    access,
    autoscale,
    capacity,
    context,
    cronscale,
    datasets,
    diagnose,
    events,
    gateways,
    gpus,
    groups,
    images,
    instance,
    instances,
    links,
    metrics,
    mirror,
    modify,
    nodes,
    predict,
    processes,
    registries,
    release,
    resources,
    rollout,
    route,
    secrets,
    services,
    tokens,
    top,
    traffic,
    usage,
    versions,
)
from cli.exits import Exit, code_of
from cli.output import say
from cli.session import choose_context
from cli.settings import cli_settings
from cli.usage import is_help, is_usage_error, sentence
from libs.domain.errors import EaselError

app = typer.Typer(
    name="easel",
    help="Serve models on your own machines: hand in a service.json, get an endpoint.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"easel {version('easel')}")
        raise typer.Exit


@app.callback()
def root(
    context_name: Annotated[
        str, typer.Option("--context", help="Which context of the context file to use.", metavar="NAME")
    ] = "",
    version: Annotated[
        bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Serve models on your own machines: hand in a service.json, get an endpoint."""
    choose_context(context_name)


for part in (
    *(processes, services, modify, versions, rollout, instances, instance, diagnose, events, predict),
    *(groups, release, mirror, links, traffic, route, gateways, registries),
    *(top, metrics, autoscale, cronscale, usage),
    *(nodes, resources, capacity, gpus, secrets, datasets, images, access, tokens, context),
):
    part.add_to(app)


def run(arguments: list[str]) -> int:
    """Runs one command; returns its exit code. Every failure is one sentence on standard error."""
    try:
        ended = app(arguments, prog_name="easel", standalone_mode=False)
        return ended if isinstance(ended, int) else Exit.OK
    except SystemExit as left:
        return left.code if isinstance(left.code, int) else Exit.OK if left.code is None else Exit.FAILED
    except EaselError as refused:
        say(f"easel: {refused}")
        return code_of(refused)
    except BrokenPipeError:
        return Exit.FAILED
    except Exception as bug:
        if is_help(bug):
            return Exit.USAGE
        if is_usage_error(bug):
            say(f"easel: {sentence(bug)}")
            return Exit.USAGE
        if cli_settings().debug:
            raise
        say(f"easel: this is a bug: {type(bug).__name__}: {bug} (EASEL_DEBUG=1 shows where)")
        return Exit.FAILED


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
