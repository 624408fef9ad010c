"""`easel modify` and `easel clone`: a service.json made of one that is there."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.merging import ChangeFile, Sets, read_spec, send_change, values_of
from cli.output import Format, Output, dump, warn
from cli.plans import Batch, Interval, OnlyPlan, Partition, Paused, plan_of, show_update_plan
from cli.session import with_easel
from cli.writing import Timeout, Wait, write

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from easel_sdk import AsyncEasel
    from easel_sdk.types import Service, UpdatePlan, Written

Name = Annotated[str, typer.Argument(metavar="SERVICE", help="The service's name.")]


def modify(
    name: Name,
    file: ChangeFile = "",
    sets: Sets = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="FILE is the whole service.json; what it lacks goes.")
    ] = False,
    only_plan: OnlyPlan = False,
    partition: Partition = "",
    batch: Batch = "",
    interval: Interval = "",
    paused: Paused = False,
    wait: Wait = False,
    timeout: Timeout = 900,
    output: Output = Format.TABLE,
) -> None:
    """Change a service: merge a file or single values into its service.json."""
    if bool(file) == bool(sets):
        raise typer.BadParameter("give either -f FILE or one or more -D PATH=VALUE")
    if replace and not file:
        raise typer.BadParameter("--replace needs -f FILE")
    stages = plan_of(partition, batch, interval, paused)
    given = read_spec(file) if file else values_of(sets)

    async def planned(easel: "AsyncEasel") -> "UpdatePlan":
        async def ask(spec: str, _: int) -> "UpdatePlan":
            return await easel.services.plan_update(name, spec, replace=replace, plan=stages)

        return await send_change(easel, name, given, ask)

    before: list[Service] = []

    async def change(easel: "AsyncEasel") -> "Written":
        before.append(await easel.services.get(name))

        async def send(spec: str, revision: int) -> "Written":
            services = easel.services
            return await services.update(name, spec, replace=replace, if_revision=revision, plan=stages)

        return await send_change(easel, name, given, send)

    if only_plan:
        return show_plan(name, "modify", planned, output)
    return write(
        "modify",
        change,
        lambda service: _changed(before[0], service),
        wait=wait,
        timeout=timeout,
        output=output,
    )


def _changed(before: "Service", after: "Service") -> str:
    if before.revision == after.revision and before.version == after.version:
        return f"nothing changes: {after.name} stays at version {after.version}"
    stays = "stays" if before.version == after.version else "is"
    return f"{after.name} is changed; it {stays} at version {after.version}"


def show_plan(
    name: str, command: str, planned: "Callable[[AsyncEasel], Awaitable[UpdatePlan]]", output: Format
) -> None:
    """Shows what an update would do. Nothing is changed."""
    plan = with_easel(planned, f"{command} --plan")
    if output is not Format.TABLE:
        return dump(plan, output)
    for warning in plan.warnings:
        warn(warning)
    return show_update_plan(name, plan)


def clone(
    name: Name,
    new_name: Annotated[str, typer.Argument(metavar="NEW", help="The name of the new service.")],
    file: ChangeFile = "",
    sets: Sets = None,
    wait: Wait = False,
    timeout: Timeout = 900,
    output: Output = Format.TABLE,
) -> None:
    """Create a service from the service.json of another; -f and -D say what is different."""
    if file and sets:
        raise typer.BadParameter("give either -f FILE or -D PATH=VALUE")
    given = read_spec(file) if file else values_of(sets)

    async def change(easel: "AsyncEasel") -> "Written":
        async def send(spec: str, _: int) -> "Written":
            return await easel.services.clone(name, new_name, spec)

        return await send_change(easel, name, given, send)

    write(
        "create",
        change,
        f"{new_name} is created from {name}",
        wait=wait,
        timeout=timeout,
        output=output,
        endpoint=True,
    )


def add_to(app: typer.Typer) -> None:
    app.command("modify", rich_help_panel="Services")(modify)
    app.command("clone", rich_help_panel="Services")(clone)
