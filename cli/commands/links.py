"""`easel open`: a service's pages in a browser, without a token in the address."""

from typing import Annotated

import typer

from cli.output import Format, Output, dump, say
from cli.session import with_easel


def open_(
    name: Annotated[str, typer.Argument(metavar="SERVICE", help="The service's name.")],
    valid_for: Annotated[
        str, typer.Option("--for", metavar="5m", help="How long the link may be opened; a day at most.")
    ] = "5m",
    by_host: Annotated[
        bool, typer.Option("--host", help="At the service's own host name of a domain, not at its path.")
    ] = False,
    only_print: Annotated[
        bool, typer.Option("--print", help="Write the link to standard output; open nothing.")
    ] = False,
    output: Output = Format.TABLE,
) -> None:
    """Open a service's pages in the browser, by a signed link that is valid for a short time.

    Where there is no browser the link is written to standard output. Whoever has it may open it while it is
    valid; what it opens stays open in that browser. The service sets metadata.enable_webservice.
    """
    import webbrowser

    from cli.quantities import length_of, length_text

    length = length_of("--for", valid_for)
    link = with_easel(lambda easel: easel.traffic.web_link(name, valid_for=length, by_host=by_host), "open")
    if output is not Format.TABLE:
        return dump(link, output)
    if not only_print and webbrowser.open(link.url):
        return say(f"{name} is opened in the browser; the link is valid for {length_text(length)}")
    typer.echo(link.url)
    return say(f"whoever has the link may open it for {length_text(length)}")


def add_to(app: typer.Typer) -> None:
    app.command("open", rich_help_panel="Traffic")(open_)
