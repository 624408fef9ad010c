"""`easel events`: what happened, and why."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import Format, Output, age, dump, show_rows
from cli.session import listed, with_easel

if TYPE_CHECKING:
    from easel_sdk import AsyncEasel
    from easel_sdk.types import Event


def events(
    service: Annotated[str, typer.Argument(metavar="[SERVICE]", help="Only events of this service.")] = "",
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what happens next.")] = False,
    subject: Annotated[
        str, typer.Option("--subject", help="Only events about this instance, node or gateway.")
    ] = "",
    most: Annotated[int, typer.Option("-n", "--tail", help="How many of the newest to show.", min=0)] = 30,
    output: Output = Format.TABLE,
) -> None:
    """Show what happened, oldest first."""

    async def work(easel: "AsyncEasel") -> None:
        recent = easel.events.list(service=service, subject=subject, page_size=min(most or 1, 200))
        newest = await listed(recent, most or 1)
        shown = newest[:most][::-1]
        if not follow:
            from cli.views import EVENTS

            none = (
                f"nothing is known of {subject or service!r}"
                if subject or service
                else "nothing has happened yet"
            )
            show_rows(shown, output, EVENTS, none)
            return
        for event in shown:
            _line(event, output)
        last = newest[0].id if newest else 0
        async for event in easel.events.watch(service=service, subject=subject, after_id=last):
            _line(event, output)

    with_easel(work, "events")


def _line(event: "Event", output: Format) -> None:
    if output is not Format.TABLE:
        return dump(event, output, line=True)
    at = event.at.astimezone().strftime("%H:%M:%S") if event.at else age(None)
    return typer.echo(f"{at}  {event.kind:<7}  {event.reason:<20}  {event.subject:<24}  {event.why}")


def add_to(app: typer.Typer) -> None:
    app.command("events", rich_help_panel="Look inside")(events)
