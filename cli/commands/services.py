"""The commands on services: create, modify, list, describe, scale, start, stop, restart, delete."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import Format, Output, dump, say, show_rows
from cli.pairs import pairs
from cli.session import listed, with_easel
from cli.writing import Timeout, Wait, write

if TYPE_CHECKING:
    from easel_sdk import AsyncEasel

Name = Annotated[str, typer.Argument(metavar="SERVICE", help="The service's name.")]


def read_spec(path: str) -> str:
    """The text of a service.json; `-` is standard input. Raises `InvalidRequest` or `InvalidSpec`
    when it cannot be read."""
    from libs.domain.errors import InvalidRequest, InvalidSpec

    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidRequest("file", path, f"a service.json that can be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InvalidSpec("$", path, "a service.json in UTF-8") from error


def create(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The service.json; - is standard input.")],
    wait: Wait = False,
    timeout: Timeout = 900,
    output: Output = Format.TABLE,
) -> None:
    """Create a service from a service.json."""
    text = read_spec(file)
    write(
        "create",
        lambda easel: easel.services.create(text),
        lambda service: f"{service.name} is created",
        wait=wait,
        timeout=timeout,
        output=output,
        endpoint=True,
    )


def modify(
    name: Name,
    file: Annotated[
        str, typer.Option("-f", "-s", "--file", metavar="FILE", help="A service.json with what changes.")
    ] = "",
    sets: Annotated[
        list[str] | None,
        typer.Option("-D", metavar="PATH=VALUE", help="One value, such as -D metadata.instance=3."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="FILE is the whole service.json; what it lacks goes.")
    ] = False,
    wait: Wait = False,
    timeout: Timeout = 900,
    output: Output = Format.TABLE,
) -> None:
    """Change a service: merge a file or single values into its service.json."""
    if bool(file) == bool(sets):
        raise typer.BadParameter("give either -f FILE or one or more -D PATH=VALUE")
    if replace and not file:
        raise typer.BadParameter("--replace needs -f FILE")
    values = {path: _value(text) for path, text in pairs(sets or [], "PATH=VALUE").items()}
    spec = read_spec(file) if file else json.dumps(values)
    write(
        "modify",
        lambda easel: easel.services.update(name, spec, replace=replace),
        lambda service: f"{name} is changed; it is at version {service.version}",
        wait=wait,
        timeout=timeout,
        output=output,
    )


def _value(text: str) -> object:
    """JSON where it is JSON, else the text itself: `3`, `true`, `"3"`, `40Gi`."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def ls(
    containing: Annotated[str, typer.Argument(metavar="[NAME]", help="Keep names containing this.")] = "",
    labels: Annotated[
        list[str] | None, typer.Option("-l", "--label", metavar="KEY=VALUE", help="Keep services with it.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """List services."""
    from cli.views import SERVICES

    wanted = pairs(labels or [], "KEY=VALUE")
    found = with_easel(lambda easel: listed(easel.services.list(containing=containing, labels=wanted)), "ls")
    none = "no service yet; `easel create FILE` makes one of a service.json"
    show_rows(found, output, SERVICES, "no service is like that" if containing or wanted else none)


def desc(name: Name, output: Output = Format.TABLE) -> None:
    """Describe a service: its state and why, its instances, what happened last."""
    from cli.describe import described, show_description

    description = with_easel(lambda easel: described(easel, name), "desc")
    show_description(description) if output is Format.TABLE else dump(description, output)


def scale(
    name: Name,
    instances: Annotated[int, typer.Argument(metavar="N", help="How many instances to run.", min=0)],
    why: Annotated[str, typer.Option("--why", help="The reason to keep with the change.")] = "",
    wait: Wait = False,
    timeout: Timeout = 900,
    output: Output = Format.TABLE,
) -> None:
    """Set how many instances a service runs."""
    write(
        "scale",
        lambda easel: easel.services.scale(name, instances, why=why),
        f"{name} goes to {instances} instances",
        wait=wait,
        timeout=timeout,
        output=output,
    )


def start(name: Name, wait: Wait = False, timeout: Timeout = 900, output: Output = Format.TABLE) -> None:
    """Start a stopped service."""
    change = "start"
    write(
        change,
        lambda easel: easel.services.start(name),
        f"{name} is starting",
        wait=wait,
        timeout=timeout,
        output=output,
    )


def stop(name: Name, wait: Wait = False, timeout: Timeout = 300, output: Output = Format.TABLE) -> None:
    """Stop a service's instances and keep its service.json."""
    write(
        "stop",
        lambda easel: easel.services.stop(name),
        f"{name} is stopping",
        wait=wait,
        timeout=timeout,
        output=output,
        stopping=True,
    )


def restart(name: Name, wait: Wait = False, timeout: Timeout = 900, output: Output = Format.TABLE) -> None:
    """Replace a service's instances by new ones of the same version."""
    write(
        "restart",
        lambda easel: easel.services.restart(name),
        f"{name} is restarting",
        wait=wait,
        timeout=timeout,
        output=output,
        anew=True,
    )


def delete(
    name: Name,
    wait: Wait = False,
    timeout: Timeout = 300,
    output: Output = Format.TABLE,
) -> None:
    """Delete a service, its instances and its versions."""

    async def work(easel: "AsyncEasel") -> None:
        await easel.services.delete(name)
        if wait:
            from cli.waiting import gone

            await gone(easel, name, timeout)

    with_easel(work, "delete")
    if output is not Format.TABLE:
        return dump({"deleted": name}, output)
    return say(f"{name} is deleted" if wait else f"{name} is being deleted")


def add_to(app: typer.Typer) -> None:
    for command in (create, modify, ls, scale, start, stop, restart, delete):
        app.command(command.__name__, rich_help_panel="Services")(command)
    app.command("desc", rich_help_panel="Look inside")(desc)
