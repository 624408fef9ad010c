"""The commands on services: create, list, describe, scale, start, stop, restart, lock, label, delete."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cli.merging import read_spec
from cli.output import Format, Output, dump, say, show_rows, warn
from cli.pairs import changed_labels, pairs
from cli.session import listed, with_easel
from cli.writing import Timeout, Wait, write

if TYPE_CHECKING:
    from easel_sdk import AsyncEasel
    from easel_sdk.types import Instance, Service

Name = Annotated[str, typer.Argument(metavar="SERVICE", help="The service's name.")]


class Lock(StrEnum):
    NONE = "none"
    DANGEROUS = "dangerous"
    ALL = "all"


_LOCKED = {
    Lock.NONE: "{} may be changed, stopped and deleted",
    Lock.DANGEROUS: "{} refuses to be stopped and deleted",
    Lock.ALL: "{} refuses every change but that of the lock",
}


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


def ls(
    containing: Annotated[str, typer.Argument(metavar="[NAME]", help="Keep names containing this.")] = "",
    labels: Annotated[
        list[str] | None, typer.Option("-l", "--label", metavar="KEY=VALUE", help="Keep services with it.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """List services."""
    from cli.service_views import service_columns

    wanted = pairs(labels or [], "KEY=VALUE")

    async def work(easel: "AsyncEasel") -> "tuple[list[Service], list[Instance]]":
        found = await listed(easel.services.list(containing=containing, labels=wanted))
        # Only where some do not serve may there be instances that stand apart.
        apart = output is Format.TABLE and any(each.total > each.ready for each in found)
        return found, await listed(easel.instances.list()) if apart else []

    found, instances = with_easel(work, "ls")
    none = "no service yet; `easel create FILE` makes one of a service.json"
    show_rows(
        found,
        output,
        service_columns(found, instances),
        "no service is like that" if containing or wanted else none,
    )


def desc(name: Name, output: Output = Format.TABLE) -> None:
    """Describe a service: its state and why, its instances, what happened last."""
    from cli.describe import described, show_description

    description = with_easel(lambda easel: described(easel, name), "desc")
    show_description(description) if output is Format.TABLE else dump(description, output)


def scale(
    name: Name,
    instances: Annotated[int, typer.Argument(metavar="N", help="How many instances to run.", min=0)],
    why: Annotated[str, typer.Option("--why", help="The reason to keep with the change.")] = "",
    delete: Annotated[
        list[str] | None,
        typer.Option(
            "--delete", metavar="INSTANCE", help="One that is to go, where fewer are wanted; repeatable."
        ),
    ] = None,
    wait: Wait = False,
    timeout: Timeout = 900,
    output: Output = Format.TABLE,
) -> None:
    """Set how many instances a service runs, and which of them go."""

    async def change(easel: "AsyncEasel") -> "Service":
        made = await easel.services.scale(name, instances, why=why, instances_to_delete=delete or ())
        await _warn_of_autoscaler(easel, made)
        return made

    write(
        "scale",
        change,
        lambda service: _scaled_text(service, instances),
        wait=wait,
        timeout=timeout,
        output=output,
    )


def _scaled_text(service: "Service", instances: int) -> str:
    from cli.scaling_views import rests

    count = f"{instances} instance{'' if instances == 1 else 's'}"
    if instances and rests(service.state):
        return (
            f"{service.name} is stopped: it has {count} once it is started, by `easel start {service.name}`"
        )
    return f"{service.name} goes to {count}"


async def _warn_of_autoscaler(easel: "AsyncEasel", service: "Service") -> None:
    """A size that is set may not last."""
    from cli.policies import size_warning
    from cli.scaling_views import rests
    from easel_sdk.errors import EaselError

    try:
        policy = (await easel.autoscalers.get(service.name)).policy
    except EaselError:
        return  # It has none; or what is done already is not to fail for a word about it.
    if not rests(service.state):
        warn(size_warning(service.name, policy))


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


def lock(
    name: Name,
    level: Annotated[
        Lock, typer.Argument(metavar="LEVEL", help="none, dangerous or all: what it refuses from now on.")
    ],
    output: Output = Format.TABLE,
) -> None:
    """Guard a service: dangerous refuses to stop and delete it, all refuses every change."""
    service = with_easel(lambda easel: easel.services.set_lock(name, level.value), "lock")
    say(_LOCKED[level].format(name)) if output is Format.TABLE else dump(service, output)


def label(
    name: Name,
    labels: Annotated[list[str], typer.Argument(metavar="KEY=VALUE", help="KEY- removes a label.")],
    output: Output = Format.TABLE,
) -> None:
    """Set or remove labels of a service; nothing is replaced."""
    changes = changed_labels(labels)
    service = with_easel(lambda easel: easel.services.set_labels(name, changes), "label")
    if output is not Format.TABLE:
        return dump(service, output)
    shown = ", ".join(f"{key}={value}" for key, value in sorted(service.labels.items()))
    return say(f"{name}: {shown or 'no labels'}")


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
    for command in (create, ls, scale, start, stop, restart, lock, label, delete):
        app.command(command.__name__, rich_help_panel="Services")(command)
    app.command("desc", rich_help_panel="Look inside")(desc)
