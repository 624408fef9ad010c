"""`easel access`: the access tokens that callers of services and groups present."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import Format, Output, dump, say, show_rows, warn
from cli.quantities import length_of, length_text
from cli.session import listed, with_easel

if TYPE_CHECKING:
    from easel_sdk import AsyncEasel
    from easel_sdk.types import AccessToken, NewAccessToken

tokens = typer.Typer(
    help="Access tokens: what callers of a service or a group present.", no_args_is_help=True
)
Owner = Annotated[str, typer.Argument(metavar="SERVICE|GROUP", help="The service or the group it opens.")]
Which = Annotated[
    str, typer.Argument(metavar="ID|SERVICE|GROUP", help="Its id as `easel access ls` shows, or whose it is.")
]
TokenName = Annotated[
    str, typer.Argument(metavar="[NAME]", help="With a service or a group: its name there.")
]


async def owner_of(easel: "AsyncEasel", name: str) -> tuple[str, str]:
    """(service, "") or ("", group): services and groups share one name space. Raises `NotFound`."""
    from easel_sdk.errors import NotFound

    try:
        return (await easel.services.get(name)).name, ""
    except NotFound:
        try:
            return "", (await easel.groups.get(name)).name
        except NotFound:
            raise NotFound(f"no service and no group named {name!r}") from None


async def _all_of(easel: "AsyncEasel", name: str) -> "list[AccessToken]":
    service, group = await owner_of(easel, name)
    return await listed(easel.access_tokens.list(service=service, group=group))


async def _id_of(easel: "AsyncEasel", which: str, name: str) -> str:
    """The id that is meant: `which` itself, or that of the token called `name` of the owner `which`."""
    from easel_sdk.errors import NotFound

    if not name:
        return which
    named = [each.id for each in await _all_of(easel, which) if each.name == name]
    if not named:
        raise NotFound(f"{which} has no access token named {name!r}; `easel access ls {which}` lists them")
    return named[0]


@tokens.command("list", hidden=True)
@tokens.command("ls")
def ls(owner: Owner, output: Output = Format.TABLE) -> None:
    """List the access tokens of a service or a group; values are never shown."""
    from cli.gateway_views import ACCESS_TOKENS

    found = with_easel(lambda easel: _all_of(easel, owner), "access ls")
    show_rows(found, output, ACCESS_TOKENS, f"nothing opens {owner}")


@tokens.command("create")
def create(
    owner: Owner,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name to recognise it by.")],
    valid_for: Annotated[
        str, typer.Option("--valid-for", metavar="30d", help="When it expires; never unless given.")
    ] = "",
    value: Annotated[
        str, typer.Option("--value", help="A value of your own, or - for standard input; else it is made.")
    ] = "",
    output: Output = Format.TABLE,
) -> None:
    """Create a further access token, beside those that are there, and show its value.

    Example: easel access create llm partner --valid-for 30d
    """
    length = length_of("--valid-for", valid_for) if valid_for else None
    given = _value(value)

    async def work(easel: "AsyncEasel") -> "NewAccessToken":
        service, group = await owner_of(easel, owner)
        return await easel.access_tokens.create(
            name, service=service, group=group, valid_for=length, value=given
        )

    made = with_easel(work, "access create")
    if output is not Format.TABLE:
        return dump(made, output)
    expiry = f" for {length_text(length)}" if length else ""
    say(f"{made.token.id} ({name}) opens {owner}{expiry}:")
    return typer.echo(made.value)


def _value(given: str) -> str:
    import sys

    if given == "-":
        text = sys.stdin.read().strip()
        if not text:
            raise typer.BadParameter("--value - expects the value on standard input")
        return text
    if given:
        warn("a value on a command line is seen by other users of this machine and kept by the shell")
    return given


@tokens.command("show")
def show(which: Which, name: TokenName = "", output: Output = Format.TABLE) -> None:
    """Show the value of an access token."""

    async def work(easel: "AsyncEasel") -> "NewAccessToken":
        return await easel.access_tokens.get(await _id_of(easel, which, name))

    found = with_easel(work, "access show")
    typer.echo(found.value) if output is Format.TABLE else dump(found, output)


@tokens.command("rotate")
def rotate(
    which: Which,
    name: TokenName = "",
    overlap: Annotated[
        str,
        typer.Option("--overlap", metavar="1h", help="How long the value before stays valid; 0 ends it now."),
    ] = "1h",
    output: Output = Format.TABLE,
) -> None:
    """Give an access token a new value; the one before stays valid for a while.

    Example: easel access rotate llm partner --overlap 1h
    """
    length = length_of("--overlap", overlap)

    async def work(easel: "AsyncEasel") -> "NewAccessToken":
        return await easel.access_tokens.rotate(await _id_of(easel, which, name), overlap=length)

    made = with_easel(work, "access rotate")
    if output is not Format.TABLE:
        return dump(made, output)
    before = f"the one before is valid for {length_text(length)} more" if length else "the one before is void"
    say(f"{made.token.id} ({made.token.name}) has a new value; {before}:")
    return typer.echo(made.value)


@tokens.command("delete")
def delete(which: Which, name: TokenName = "", output: Output = Format.TABLE) -> None:
    """Delete an access token; whoever presents it is shut out at once."""

    async def work(easel: "AsyncEasel") -> str:
        token_id = await _id_of(easel, which, name)
        await easel.access_tokens.delete(token_id)
        return token_id

    gone = with_easel(work, "access delete")
    say(f"{gone} is deleted") if output is Format.TABLE else dump({"deleted": gone}, output)


def add_to(app: typer.Typer) -> None:
    app.add_typer(tokens, name="access", rich_help_panel="Access")
