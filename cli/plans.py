"""How an update goes on, as options of a command; and what it would change, as text."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import facts, put
from cli.quantities import length_of, length_text

if TYPE_CHECKING:
    from easel_sdk.types import Rollout, RolloutPlan, UpdatePlan

Partition = Annotated[
    str,
    typer.Option(
        "--partition", metavar="N|N%", help="Keep so many instances at the version before until a promote."
    ),
]
Batch = Annotated[str, typer.Option("--batch", metavar="N|N%", help="Replace so many instances, then pause.")]
Interval = Annotated[
    str,
    typer.Option(
        "--interval", metavar="60s|5m|1h", help="How long to pause between batches; else until a resume."
    ),
]
Paused = Annotated[bool, typer.Option("--paused", help="Begin paused; `easel rollout resume` lets it go.")]
OnlyPlan = Annotated[bool, typer.Option("--plan", help="Show what would change, and change nothing.")]

_SHARE = re.compile(r"\d+%?")


def plan_of(
    partition: str, batch: str, interval: str, paused: bool, now: "RolloutPlan | None" = None
) -> "RolloutPlan | None":
    """The plan that the options ask for, over the one of `now`; None when they ask for nothing.

    Ends the command with a usage error where they make no sense.
    """
    if not (partition or batch or interval or paused):
        return None
    from easel_sdk.types import RolloutPlan

    for option, share in (("--partition", partition), ("--batch", batch)):
        if share and not _SHARE.fullmatch(share):
            expected = "a number of instances or a percentage, such as 2 or 30%"
            raise typer.BadParameter(f"{option}: got {share!r}, expected {expected}")
    if partition and (batch or interval):
        raise typer.BadParameter("give either --partition, or --batch with or without --interval")
    if partition:
        return RolloutPlan(partition=partition, paused=paused)
    before = now or RolloutPlan()
    if not (batch or interval):
        return RolloutPlan(before.partition, before.batch_size, before.interval, paused)
    return RolloutPlan(
        batch_size=batch or before.batch_size,
        interval=length_of("--interval", interval) if interval else None if batch else before.interval,
        paused=paused,
    )


def plan_text(plan: "RolloutPlan") -> str:
    """The stages in words."""
    if plan.partition:
        text = f"{plan.partition} stay at the version before until it is promoted"
    elif plan.batch_size:
        pause = f"{length_text(plan.interval)} between them" if plan.interval is not None else "each resumed"
        text = f"batches of {plan.batch_size}, {pause}"
    else:
        text = "all within max_surge and max_unavailable"
    return f"{text}; paused" if plan.paused else text


def rollout_text(rollout: "Rollout") -> str:
    """Where an update is, in a line."""
    return (
        f"{rollout.from_version} → {rollout.version}, {rollout.phase}, "
        f"{rollout.updated} of {rollout.wanted} updated"
    )


def rollout_lines(rollout: "Rollout") -> list[tuple[str, object]]:
    """Everything about an update, as labels and values."""
    from cli.progress import bar

    share = f"{rollout.updated} of {rollout.wanted} instances"
    return [
        ("phase", rollout.phase),
        ("why", rollout.why),
        ("because", rollout.because),
        ("version", f"{rollout.from_version} → {rollout.version}"),
        ("updated", f"{bar(rollout.updated, rollout.wanted)}, {share}" if rollout.wanted else share),
        ("plan", plan_text(rollout.plan)),
        ("started", rollout.started_at),
        ("finished", rollout.finished_at),
    ]


def show_update_plan(name: str, plan: "UpdatePlan") -> None:
    """What an update would change, what would happen, and that nothing has."""
    typer.secho("changes", bold=True)
    put(facts([(f"  {each.path}", _moved(each.before, each.after)) for each in plan.changes] or _NONE))
    typer.echo()
    _listed("what happens", plan.steps)
    replaced = "instances are replaced" if plan.rolls else "no instance is replaced"
    typer.echo(f"{name} would be at version {plan.version}; {replaced}")


_NONE: list[tuple[str, object]] = [("  none", "the service.json is like that already")]


def _moved(before: str, after: str) -> str:
    return f"{before or '(not there)'}  →  {after or '(removed)'}"


def _listed(title: str, sentences: Sequence[str]) -> None:
    if not sentences:
        return
    typer.secho(title, bold=True)
    for number, sentence in enumerate(sentences, start=1):
        typer.echo(f"  {number}. {sentence}")
    typer.echo()
