"""`easel instance` and `easel dw`: what is done with one running copy of a service."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.diagnose import show
from cli.output import Format, Output, dump, facts, put, say
from cli.session import listed, with_easel
from cli.writing import Timeout, Wait

if TYPE_CHECKING:
    from collections.abc import Sequence

    from easel_sdk import AsyncEasel
    from easel_sdk.types import Instance

instances = typer.Typer(help="See and treat single instances.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="INSTANCE", help="The instance, as `easel w` shows.")]
Why = Annotated[str, typer.Option("--why", help="The reason to keep with the instance.")]


@instances.command("desc")
def desc(name: Name, output: Output = Format.TABLE) -> None:
    """Describe one instance: where it is, what it is busy with, how its last run ended."""
    from cli.instance_views import instance_lines

    instance = with_easel(lambda easel: easel.instances.get(name), "instance desc")
    dump(instance, output) if output is not Format.TABLE else put(facts(instance_lines(instance)))


@instances.command("restart")
def restart(name: Name, wait: Wait = False, timeout: Timeout = 900, output: Output = Format.TABLE) -> None:
    """Start the program anew in the same instance, out of traffic first; nothing is fetched again.

    It takes no reason to keep: the instance stays the one it is.
    """

    async def work(easel: "AsyncEasel") -> "Instance":
        before = (await easel.instances.get(name)).run
        asked = await easel.instances.restart(name)
        say(f"{name} is restarting")
        return await _ready_again(easel, name, before, timeout) if wait else asked

    instance = with_easel(work, "instance restart")
    if output is not Format.TABLE:
        dump(instance, output)
    elif wait:
        say(f"{name} is ready again")


async def _ready_again(easel: "AsyncEasel", name: str, run: int, timeout: float) -> "Instance":
    from cli.polling import poll

    async def look() -> "Instance | None":
        instance = await easel.instances.get(name)
        return instance if instance.run > run and instance.ready else None

    return await poll(look, timeout, lambda: f"{name} is not ready again")


@instances.command("isolate")
def isolate(
    name: Name,
    undo: Annotated[bool, typer.Option("--undo", help="Put it back into traffic.")] = False,
    why: Why = "",
    output: Output = Format.TABLE,
) -> None:
    """Take an instance out of traffic and keep it as it is, for inspection."""
    instance = with_easel(
        lambda easel: easel.instances.isolate(name, isolated=not undo, why=why), "instance isolate"
    )
    back = f"{name} is out of traffic and kept; `easel instance isolate {name} --undo` puts it back"
    sentence = f"{name} takes traffic again when it is ready" if undo else back
    say(sentence) if output is Format.TABLE else dump(instance, output)


@instances.command("detach")
def detach(name: Name, why: Why = "", output: Output = Format.TABLE) -> None:
    """Take an instance out of traffic for ever; another takes its place, it stays until deleted."""
    instance = with_easel(lambda easel: easel.instances.detach(name, why=why), "instance detach")
    sentence = f"{name} is out of traffic for ever and replaced; `easel instance delete {name}` ends it"
    say(sentence) if output is Format.TABLE else dump(instance, output)


@instances.command("delete")
def delete(name: Name, wait: Wait = False, timeout: Timeout = 900, output: Output = Format.TABLE) -> None:
    """Replace an instance: a new one is ready first, then it is drained and stopped.

    One that does not serve leaves at once; a detached one is not replaced again.
    """
    _delete([name], wait, timeout, output)


@instances.command("diagnose")
def diagnose(name: Name, output: Output = Format.TABLE) -> None:
    """Say what is wrong with an instance, and what to do; ends with 8 when an error was found."""
    show(name, with_easel(lambda easel: easel.instances.diagnose(name), "instance diagnose"), output)


def dw(
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="The service's name.")],
    names: Annotated[
        list[str], typer.Argument(metavar="INSTANCE...", help="Its instances; commas may part them too.")
    ],
    wait: Wait = False,
    timeout: Timeout = 900,
    output: Output = Format.TABLE,
) -> None:
    """Replace instances of a service: new ones are ready first, then these are drained and stopped."""
    wanted = [name for each in names for name in each.split(",") if name]

    async def strangers(easel: "AsyncEasel") -> list[str]:
        mine = {each.id for each in await listed(easel.instances.list(service=service))}
        if not mine:
            await easel.services.get(service)
        return [name for name in wanted if name not in mine]

    if unknown := with_easel(strangers, "dw"):
        from easel_sdk.errors import NotFound

        raise NotFound(f"{service} has no instance {', '.join(unknown)}")
    _delete(wanted, wait, timeout, output)


def _delete(names: list[str], wait: bool, timeout: float, output: Format) -> None:
    async def work(easel: "AsyncEasel") -> list[str]:
        before = [await easel.instances.get(name) for name in names]
        for name in names:
            await easel.instances.delete(name)
        if wait:
            for name in names:
                await _gone(easel, name, timeout)
        return told_of_deleted(before)

    told = with_easel(work, "instance delete")
    if output is not Format.TABLE:
        return dump({"deleted": names}, output)
    for sentence in [f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} gone"] if wait else told:
        say(sentence)
    return None


def told_of_deleted(instances: "Sequence[Instance]") -> list[str]:
    """What becomes of instances that were deleted while they were like that, alike ones in one sentence."""
    found: dict[str, list[str]] = {}
    for each in instances:
        found.setdefault(_fate(each), []).append(each.id)
    return [
        f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} {fate}" for fate, names in found.items()
    ]


def _fate(instance: "Instance") -> str:
    if instance.detached:
        return "being deleted; no other comes for what was detached, one took its place then"
    if instance.isolated or not instance.ready:
        return "being deleted at once, serving nothing; another comes where one is wanted"
    return "being replaced: stopped once another is ready in place"


async def _gone(easel: "AsyncEasel", name: str, timeout: float) -> None:
    from cli.polling import poll
    from easel_sdk.errors import NotFound

    async def look() -> bool | None:
        try:
            await easel.instances.get(name)
        except NotFound:
            return True
        return None

    await poll(look, timeout, lambda: f"{name} is still there")


def add_to(app: typer.Typer) -> None:
    app.command("dw", rich_help_panel="Services")(dw)
    app.add_typer(instances, name="instance", rich_help_panel="Look inside")
