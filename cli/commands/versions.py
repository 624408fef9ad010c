"""`easel version`: the numbered specs of a service."""

from typing import Annotated

import typer

from cli.output import Format, Output, show_rows
from cli.session import listed, with_easel
from cli.writing import Timeout, Wait, write


def version(
    name: Annotated[str, typer.Argument(metavar="SERVICE", help="The service's name.")],
    number: Annotated[int | None, typer.Argument(metavar="[N]", help="Roll to this version.", min=1)] = None,
    wait: Wait = False,
    timeout: Timeout = 900,
    output: Output = Format.TABLE,
) -> None:
    """List a service's versions, or roll it to one of them."""
    if number is not None:
        return write(
            "version",
            lambda easel: easel.services.roll_to(name, number),
            f"{name} goes to the spec of version {number}",
            wait=wait,
            timeout=timeout,
            output=output,
        )
    from cli.views import VERSIONS

    found = with_easel(lambda easel: listed(easel.services.versions(name)), "version")
    return show_rows(found, output, VERSIONS, f"{name} has no version")


def add_to(app: typer.Typer) -> None:
    app.command("version", rich_help_panel="Services")(version)
