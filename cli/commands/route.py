"""`easel route explain`: where a request would go, and what it would meet on its way."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.commands.predict import read_headers
from cli.output import Format, Output, dump, put
from cli.quantities import share_text
from cli.session import with_easel

if TYPE_CHECKING:
    from easel_sdk.types import RouteExplanation

routes = typer.Typer(help="Where requests go, and why.", no_args_is_help=True)
_INSTANCES_SHOWN = 10


@routes.callback()
def _routes() -> None:
    """Where requests go, and why."""


@routes.command("explain")
def explain(
    url: Annotated[
        str,
        typer.Argument(
            metavar="URL",
            help="As a client writes it; a path alone is asked at the gateway of what it names.",
        ),
    ],
    headers: Annotated[
        list[str] | None, typer.Option("-H", "--header", metavar="'NAME: VALUE'", help="A header it shows.")
    ] = None,
    method: Annotated[str, typer.Option("-X", "--request", help="The HTTP method.")] = "GET",
    with_token: Annotated[
        bool, typer.Option("--with-token", help="Show the service's own token, so that no 401 is in the way.")
    ] = False,
    from_: Annotated[
        str, typer.Option("--from", metavar="IP", help="The client's address, for gateways with lists.")
    ] = "",
    output: Output = Format.TABLE,
) -> None:
    """Say which gateway, entry, rule, member and instances a request meets, and which limits; none is sent.

    A refusal is an answer too: the command ends with 0.

    Example: easel route explain http://gw:8800/api/predict/llm -H 'x-tester: yes' --with-token
    """
    sent = read_headers(headers or [])
    verb = method.upper()
    if from_:
        _refuse_no_address(from_)
    found = with_easel(
        lambda easel: easel.traffic.explain(
            url, method=verb, headers=sent, with_token=with_token, from_address=from_
        ),
        "route explain",
    )
    put(explained(verb, url, found)) if output is Format.TABLE else dump(found, output)


def _refuse_no_address(text: str) -> None:
    from ipaddress import ip_address

    try:
        ip_address(text)
    except ValueError:
        expected = "an IP address such as 10.0.0.7"
        raise typer.BadParameter(f"--from: got {text!r}, expected {expected}") from None


def verdict(found: "RouteExplanation") -> str:
    """What becomes of the request, in a line."""
    if not found.status:
        return f"goes on: {found.why}" if found.targets else f"answered: {found.why}"
    word = "refused" if found.status >= 400 else "answered by the gateway"
    return f"{word} with {found.status}: {found.why}"


def explained(method: str, url: str, found: "RouteExplanation") -> Any:
    """The way of the request as a tree, in the order in which it is decided."""
    from rich.text import Text
    from rich.tree import Tree

    tree = Tree(Text(f"{method} {url}", style="bold"))
    envoys = "1 Envoy has it" if found.envoys == 1 else f"{found.envoys} Envoys have it"
    tree.add(Text(f"gateway  {found.gateway}, generation {found.generation} of the routes, {envoys}"))
    if found.steps:
        steps = tree.add("decided")
        for number, step in enumerate(found.steps, start=1):
            steps.add(Text(f"{number}. {step}"))
    for label, value in (
        ("group", found.group),
        ("service", found.service),
        ("token", found.token),
        ("path", found.path),
    ):
        if value:
            tree.add(Text(f"{label:<7}  {value}"))
    if found.targets:
        _add_targets(tree.add("goes to"), found)
    for label, sentences in (("limits", found.limits), ("copies", found.mirrors)):
        if sentences:
            branch = tree.add(label)
            for sentence in sentences:
                branch.add(Text(sentence))
    tree.add(Text(f"verdict  {verdict(found)}", style="red" if found.status >= 400 else "green"))
    return tree


def _add_targets(branch: Any, found: "RouteExplanation") -> None:
    from rich.text import Text

    for target in found.targets:
        known = target.endpoints
        more = f" and {len(known) - _INSTANCES_SHOWN} more" if len(known) > _INSTANCES_SHOWN else ""
        where = ", ".join(known[:_INSTANCES_SHOWN]) + more if known else "no ready instance"
        leaf = f"{share_text(target.share):>5}  {target.service} version {target.version}: {where}"
        branch.add(Text(leaf))


def add_to(app: typer.Typer) -> None:
    app.add_typer(routes, name="route", rich_help_panel="Traffic")
