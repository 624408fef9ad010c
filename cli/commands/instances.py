"""`easel w` and `easel logs`: the running copies of services, and what they write."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import Format, Output, dump, say, show_rows
from cli.session import listed, with_easel

if TYPE_CHECKING:
    from easel_sdk import AsyncEasel
    from easel_sdk.types import Instance


def w(
    service: Annotated[str, typer.Argument(metavar="[SERVICE]", help="Only this service's.")] = "",
    node: Annotated[str, typer.Option("--node", help="Only those on this node.")] = "",
    output: Output = Format.TABLE,
) -> None:
    """List instances."""

    async def work(easel: "AsyncEasel") -> "list[Instance]":
        found = await listed(easel.instances.list(service=service, node=node))
        if service and not found:
            await easel.services.get(service)
        return found

    from cli.instance_views import instance_columns

    found = with_easel(work, "w")
    show_rows(found, output, instance_columns(found), f"{service or 'Easel'} has no instance")


def logs(
    name: Annotated[str, typer.Argument(metavar="INSTANCE|SERVICE", help="Whose output to show.")],
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what comes next.")] = False,
    tail: Annotated[int, typer.Option("-n", "--tail", help="Lines from the end to begin with.", min=1)] = 100,
    output: Output = Format.TABLE,
) -> None:
    """Show what an instance wrote, or all instances of a service."""

    async def work(easel: "AsyncEasel") -> None:
        import asyncio

        chosen = await _named(easel, name)
        several = len(chosen) > 1
        async with asyncio.TaskGroup() as group:
            for each in chosen:
                group.create_task(_copy(easel, each, follow, tail, several, output))

    try:
        with_easel(work, "logs")
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed


async def _named(easel: "AsyncEasel", name: str) -> list[str]:
    """The instances that `name` means: one by its id, or all of a service."""
    from easel_sdk.errors import NotFound

    try:
        return [(await easel.instances.get(name)).id]
    except NotFound:
        found = await listed(easel.instances.list(service=name))
    if not found:
        try:
            await easel.services.get(name)
        except NotFound:
            raise NotFound(f"no instance and no service named {name!r}") from None
        say(f"{name} has no instance")
    return [each.id for each in found]


async def _copy(
    easel: "AsyncEasel", instance: str, follow: bool, tail: int, several: bool, output: Format
) -> None:
    rest = b""
    async for piece in easel.instances.logs(instance, follow=follow, tail=tail):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            _write(instance, line, several, output)
    if rest:
        _write(instance, rest, several, output)


def _write(instance: str, line: bytes, several: bool, output: Format) -> None:
    text = line.decode("utf-8", errors="replace")
    if output is not Format.TABLE:
        dump({"instance": instance, "line": text}, output, line=True)
    else:
        typer.echo(f"{instance} | {text}" if several else text)
    sys.stdout.flush()


def add_to(app: typer.Typer) -> None:
    app.command("w", rich_help_panel="Look inside")(w)
    app.command("logs", rich_help_panel="Look inside")(logs)
