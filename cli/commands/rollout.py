"""`easel rollout`: an update on its way."""

from typing import TYPE_CHECKING, Annotated

import typer

from cli.exits import Exit
from cli.output import Format, Output, dump, facts, put, say
from cli.plans import Batch, Interval, Partition, Paused, plan_of, plan_text, rollout_lines
from cli.session import with_easel
from cli.writing import Timeout, Wait, write

if TYPE_CHECKING:
    from easel_sdk import AsyncEasel
    from easel_sdk.types import Service

rollouts = typer.Typer(help="See and steer the update of a service.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="SERVICE", help="The service's name.")]
_NO_END = 10.0**9


@rollouts.command("status")
def status(
    name: Name,
    watch: Annotated[bool, typer.Option("-w", "--watch", help="Follow it to its end.")] = False,
    output: Output = Format.TABLE,
) -> None:
    """Show where the newest update of a service is, and why.

    One that fails, or goes back by itself, while it is watched ends with 1.
    """
    watched: list[int] = []

    async def work(easel: "AsyncEasel") -> "Service":
        service = await easel.services.get(name)
        if not watch or service.rollout is None:
            return service
        watched.append(service.rollout.version)
        from cli.phases import Goal, Wanted
        from cli.session import listed
        from cli.waiting import follow

        newest = await listed(easel.events.list(page_size=1), 1)
        after = newest[0].id if newest else 0
        await follow(easel, name, Wanted(Goal.UPDATED, service.version), after, _NO_END)
        return await easel.services.get(name)

    rollout = with_easel(work, "rollout status").rollout
    if output is not Format.TABLE:
        dump(rollout, output)
    elif rollout is None:
        say(f"{name} was not updated yet")
    else:
        put(facts([("service", name), *rollout_lines(rollout)]))
    went_back = bool(watched and rollout and rollout.because and rollout.version not in watched)
    if went_back or (watch and rollout is not None and rollout.phase == "Failed"):
        raise typer.Exit(Exit.FAILED)


@rollouts.command("pause")
def pause(name: Name, output: Output = Format.TABLE) -> None:
    """Hold the update where it is; nothing more is replaced until a resume."""
    service = with_easel(lambda easel: easel.services.rollout_pause(name), "rollout pause")
    say(f"the update of {name} is paused") if output is Format.TABLE else dump(service, output)


@rollouts.command("resume")
def resume(name: Name, wait: Wait = False, timeout: Timeout = 900, output: Output = Format.TABLE) -> None:
    """Let a paused update go on, or the next batch go."""
    write(
        "resume",
        lambda easel: easel.services.rollout_resume(name),
        f"the update of {name} goes on",
        wait=wait,
        timeout=timeout,
        output=output,
    )


@rollouts.command("promote")
def promote(name: Name, wait: Wait = False, timeout: Timeout = 900, output: Output = Format.TABLE) -> None:
    """Let the rest go at once, whatever was to stay or to wait."""
    write(
        "promote",
        lambda easel: easel.services.rollout_promote(name),
        f"the rest of {name} is being updated",
        wait=wait,
        timeout=timeout,
        output=output,
    )


@rollouts.command("undo")
def undo(name: Name, wait: Wait = False, timeout: Timeout = 900, output: Output = Format.TABLE) -> None:
    """Go back to the version before the update."""
    before: list[int] = []

    async def change(easel: "AsyncEasel") -> "Service":
        before.append((await easel.services.get(name)).version)
        return await easel.services.rollout_undo(name)

    write(
        "undo",
        change,
        lambda service: f"{name} goes back from version {before[0]} to version {service.version}",
        wait=wait,
        timeout=timeout,
        output=output,
    )


@rollouts.command("set")
def set_(
    name: Name,
    partition: Partition = "",
    batch: Batch = "",
    interval: Interval = "",
    paused: Paused = False,
    output: Output = Format.TABLE,
) -> None:
    """Give the update another plan; what is not given stays, what was updated stays so."""
    if plan_of(partition, batch, interval, paused) is None:
        raise typer.BadParameter("give --partition, --batch, --interval or --paused")

    async def work(easel: "AsyncEasel") -> "Service":
        from easel_sdk.types import RolloutPlan

        rollout = (await easel.services.get(name)).rollout
        plan = plan_of(partition, batch, interval, paused, rollout.plan if rollout else None)
        return await easel.services.rollout_set(name, plan or RolloutPlan())

    service = with_easel(work, "rollout set")
    if output is not Format.TABLE:
        return dump(service, output)
    return say(f"{name}: {plan_text(service.rollout.plan)}" if service.rollout else f"{name} has a new plan")


def add_to(app: typer.Typer) -> None:
    app.add_typer(rollouts, name="rollout", rich_help_panel="Services")
