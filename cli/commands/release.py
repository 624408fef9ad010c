"""`easel release`: what a member takes of its group's requests, at once or in guarded steps."""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cli.exits import Exit
from cli.output import Format, Output, dump, facts, put, say, table
from cli.session import with_easel
from cli.writing import Wait

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cli.phases import Outcome
    from easel_sdk import AsyncEasel
    from easel_sdk.types import Group, Ramp, RampPlan, Service


class State(StrEnum):
    GROUPING = "grouping"
    STANDALONE = "standalone"


@dataclass(frozen=True)
class _Standing:
    """A service, and the group it is a member of."""

    service: "Service"
    group: "Group | None"


def release(
    name: Annotated[str, typer.Argument(metavar="SERVICE", help="The member's name.")],
    weight: Annotated[
        int | None,
        typer.Option(
            "--weight",
            help="Its weight; -1 is as many as its ready instances. A standalone member becomes grouping "
            "by it, unless --state says otherwise or it is 0.",
            min=-1,
            max=1000,
        ),
    ] = None,
    state: Annotated[
        State | None,
        typer.Option("--state", help="Take the group's requests (grouping), or only its own (standalone)."),
    ] = None,
    ramp: Annotated[
        str, typer.Option("--ramp", metavar="1,5,25,100", help="Take these percents, one after another.")
    ] = "",
    every: Annotated[str, typer.Option("--every", metavar="2m", help="How long each step lasts.")] = "",
    max_error_rate: Annotated[
        str, typer.Option("--max-error-rate", metavar="1%", help="Go back when more of its requests fail.")
    ] = "",
    max_p99: Annotated[
        str,
        typer.Option(
            "--max-p99", metavar="+20%", help="Go back when its 99th percentile is further above the others'."
        ),
    ] = "",
    min_requests: Annotated[
        int, typer.Option("--min-requests", help="Requests a step has before it is judged; 0 is 50.", min=0)
    ] = 0,
    end: Annotated[bool, typer.Option("--end", help="End the ramp at the step it has reached.")] = False,
    back: Annotated[bool, typer.Option("--back", help="With --end: back to what it had before.")] = False,
    wait: Wait = False,
    timeout: Annotated[
        float | None, typer.Option("--timeout", help="Seconds to wait; without end unless given.", min=0.1)
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Let a member of a group take the group's requests, by weight or in steps; alone it shows what it takes.

    A ramp goes from step to step by itself, and back by itself when the member does badly. With --wait each
    step is shown, and the command ends with 1 when it went back.

    Example: easel release llm-v2 --ramp 1,5,25,50,100 --every 2m --max-error-rate 1% --max-p99 +20% --wait
    """
    sets = weight is not None or state is not None
    if sum((sets, bool(ramp), end)) > 1:
        raise typer.BadParameter("give one of: --weight and --state; --ramp; --end")
    bounds = {
        "--every": every,
        "--max-error-rate": max_error_rate,
        "--max-p99": max_p99,
        "--min-requests": min_requests,
    }
    _refuse_misplaced(
        [
            *((option, bool(given) and not ramp, "--ramp") for option, given in bounds.items()),
            ("--back", back and not end, "--end"),
            ("--wait", wait and (sets or end), "--ramp, or stands alone while a ramp is under way"),
        ]
    )
    if sets:
        return _set(name, weight, state, output)
    if end:
        return _end(name, back, output)
    if not ramp and not wait:
        return _show(name, output)
    from cli.releases import ramp_plan_of

    plan = ramp_plan_of(ramp, every, max_error_rate, max_p99, min_requests) if ramp else None
    return _ramp(name, plan, wait, timeout, output)


def _refuse_misplaced(belongs: "Sequence[tuple[str, bool, str]]") -> None:
    """Each is an option, whether it was given where it makes no sense, and what it belongs to."""
    for option, misplaced, place in belongs:
        if misplaced:
            raise typer.BadParameter(f"{option} belongs to {place}")


def _set(name: str, weight: int | None, state: State | None, output: Format) -> None:
    from cli.releases import released_text

    service = with_easel(
        lambda easel: easel.services.release(name, traffic_state=state, weight=weight), "release"
    )
    say(released_text(service)) if output is Format.TABLE else dump(service, output)


def _end(name: str, back: bool, output: Format) -> None:
    from cli.traffic_views import step_text

    ramp = with_easel(lambda easel: easel.services.end_ramp(name, back=back), "release")
    if output is not Format.TABLE:
        return dump(ramp, output)
    return say(f"{name} goes back to what it had before" if back else f"{name} stays at {step_text(ramp)}")


def _show(name: str, output: Format) -> None:
    from cli.traffic_views import MEMBERS, ramp_lines, traffic_text

    async def work(easel: "AsyncEasel") -> _Standing:
        service = await easel.services.get(name)
        return _Standing(service, await easel.groups.get(service.group) if service.group else None)

    standing = with_easel(work, "release")
    if output is not Format.TABLE:
        return dump(standing, output)
    if standing.group is None:
        return say(f"{name} is in no group; `easel modify {name} -D metadata.group=GROUP` puts it in one")
    group = standing.group
    lines: list[tuple[str, object]] = [
        ("service", name),
        ("group", group.name),
        ("traffic", traffic_text(standing.service)),
    ]
    if group.ramp is not None and group.ramp.service == name:
        lines += ramp_lines(group.ramp)
    put(facts(lines))
    typer.echo()
    return put(table(group.members, MEMBERS))


def _ramp(name: str, plan: "RampPlan | None", wait: bool, timeout: float | None, output: Format) -> None:
    from cli.releases import follow_ramp, running_ramp
    from cli.traffic_views import ramp_plan_text

    async def work(easel: "AsyncEasel") -> "tuple[Ramp, Outcome | None]":
        begun = await (easel.services.ramp(name, plan) if plan else running_ramp(easel, name))
        if plan:
            say(f"{name} is on its way: {ramp_plan_text(begun.plan)}")
        if not wait:
            return begun, None
        ended = await follow_ramp(easel, begun, timeout)
        return (await easel.groups.get(begun.group)).ramp or begun, ended

    ramp, ended = with_easel(work, "release")
    if output is not Format.TABLE:
        dump(ramp, output)
    elif ended is not None and ended.ok:
        typer.echo(f"{name} takes {ramp.plan.steps[-1]}% of the requests of {ramp.group}: {ended.why}")
    elif ended is None:
        say(f"follow it with `easel release {name} --wait`")
    if ended is not None and not ended.ok:
        say(f"easel: {name} did not get there: {ended.why}")
        raise typer.Exit(Exit.FAILED)


def add_to(app: typer.Typer) -> None:
    app.command("release", rich_help_panel="Traffic")(release)
