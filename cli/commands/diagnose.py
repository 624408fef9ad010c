"""`easel diagnose`: what is wrong, and what to do about it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from cli.exits import Exit
from cli.output import Format, Output, dump
from cli.session import with_easel

if TYPE_CHECKING:
    from easel_sdk import AsyncEasel
    from easel_sdk.types import Finding

_COLOURS = {"Error": "red", "Warning": "yellow", "Note": "cyan"}


def diagnose(
    name: Annotated[str, typer.Argument(metavar="SERVICE|INSTANCE", help="What to look into.")],
    output: Output = Format.TABLE,
) -> None:
    """Say what is wrong with a service or an instance, and what to do about it.

    Ends with 0 when no error was found, with 8 when one was.
    """
    show(name, with_easel(lambda easel: _findings(easel, name), "diagnose"), output)


async def _findings(easel: "AsyncEasel", name: str) -> "tuple[Finding, ...]":
    from easel_sdk.errors import NotFound

    try:
        return await easel.services.diagnose(name)
    except NotFound:
        pass
    try:
        return await easel.instances.diagnose(name)
    except NotFound:
        raise NotFound(f"no service and no instance named {name!r}") from None


def show(name: str, findings: "Sequence[Finding]", output: Format) -> None:
    """Shows the findings, and ends the command with `Exit.TROUBLED` when one is an error."""
    from easel_sdk.types import Severity

    if output is not Format.TABLE:
        dump(findings, output)
    elif not findings:
        typer.echo(f"nothing is wrong with {name}")
    else:
        for number, finding in enumerate(findings):
            _paragraph(name, finding, first=number == 0)
    if any(each.severity is Severity.ERROR for each in findings):
        raise typer.Exit(Exit.TROUBLED)


def _paragraph(name: str, finding: "Finding", *, first: bool) -> None:
    if not first:
        typer.echo()
    told = finding.subject in ("", name) or finding.subject in finding.what
    about = "" if told else f"{finding.subject}: "
    word = typer.style(str(finding.severity), fg=_COLOURS[finding.severity], bold=True)
    cause = f" ({finding.cause})" if finding.cause else ""
    typer.echo(f"{word}  {about}{finding.what}{cause}")
    if finding.advice:
        typer.echo(f"  {finding.advice}")
    for line in finding.evidence:
        typer.echo(f"    | {line}")


def add_to(app: typer.Typer) -> None:
    app.command("diagnose", rich_help_panel="Look inside")(diagnose)
