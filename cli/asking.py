"""A question before something that cannot be undone takes more with it than it names."""

import sys

import typer

from cli.exits import Exit
from cli.output import say


def agreed(question: str) -> None:
    """Goes on when the answer is yes. Ends the command when it is no, or when nobody is there to give one."""
    typer.echo(f"{question} [y/N] ", nl=False, err=True)
    answer = sys.stdin.readline()
    if not answer:
        say("")
        raise typer.BadParameter("nobody answers here; --yes says so beforehand")
    if answer.strip().lower() not in ("y", "yes"):
        say("nothing is changed")
        raise typer.Exit(Exit.FAILED)
