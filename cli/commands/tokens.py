"""`easel token`: what opens the admin API, and what opens a service."""

from enum import StrEnum
from typing import Annotated

import typer

from cli.output import Format, Output, dump, say, show_rows
from cli.session import listed, with_easel

tokens = typer.Typer(help="See and manage tokens.", no_args_is_help=True)


class Role(StrEnum):
    ADMIN = "admin"
    JOIN = "join"


@tokens.command("list", hidden=True)
@tokens.command("ls")
def ls(output: Output = Format.TABLE) -> None:
    """List the tokens; secrets are never shown."""
    from cli.views import TOKENS

    found = with_easel(lambda easel: listed(easel.tokens.list()), "token ls")
    show_rows(found, output, TOKENS, "no token was made beside the ones of `easel up`")


@tokens.command("create")
def create(
    name: Annotated[str, typer.Argument(help="A name to recognise it by.")],
    role: Annotated[
        Role, typer.Option("--role", help="admin opens the admin API, join lets agents and gateways in.")
    ] = Role.ADMIN,
    output: Output = Format.TABLE,
) -> None:
    """Create a token and show its secret, this once."""
    made = with_easel(lambda easel: easel.tokens.create(name, role=role.value), "token create")
    if output is not Format.TABLE:
        return dump(made, output)
    say(f"{made.token.id} ({made.token.role}) is created; the secret cannot be shown again:")
    return typer.echo(made.secret)


@tokens.command("delete")
def delete(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="The token's id, as `easel token ls` shows.")],
    output: Output = Format.TABLE,
) -> None:
    """Delete a token; whoever holds it is shut out at once."""
    with_easel(lambda easel: easel.tokens.delete(token_id), "token delete")
    say(f"{token_id} is deleted") if output is Format.TABLE else dump({"deleted": token_id}, output)


@tokens.command("service")
def service(
    name: Annotated[str, typer.Argument(metavar="SERVICE", help="The service's name.")],
    output: Output = Format.TABLE,
) -> None:
    """Show the token that a service's callers send."""
    secret = with_easel(lambda easel: easel.services.token(name), "token service")
    if output is Format.TABLE:
        return typer.echo(secret)
    return dump({"service": name, "token": secret}, output)


def add_to(app: typer.Typer) -> None:
    app.add_typer(tokens, name="token", rich_help_panel="Access")
