"""`easel version` and `easel versions`: the numbered service.jsons of a service."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from cli.commands.modify import show_plan
from cli.output import Format, Output, dump, plain, show_rows
from cli.plans import Batch, Interval, OnlyPlan, Partition, Paused, plan_of
from cli.session import listed, with_easel
from cli.writing import Timeout, Wait, write

if TYPE_CHECKING:
    from easel_sdk import AsyncEasel
    from easel_sdk.types import Service, ServiceVersion

Name = Annotated[str, typer.Argument(metavar="SERVICE", help="The service's name.")]


@dataclass(frozen=True)
class Standing:
    """A version, and what it is to the service: in force, stable (all instances ran it), or neither."""

    version: "ServiceVersion"
    in_force: bool
    stable: bool

    @property
    def mark(self) -> str:
        return ", ".join(
            word for word, true in (("in force", self.in_force), ("stable", self.stable)) if true
        )


def version(
    name: Name,
    number: Annotated[
        int | None, typer.Argument(metavar="[N]", help="Put this version in force.", min=1)
    ] = None,
    only_plan: OnlyPlan = False,
    partition: Partition = "",
    batch: Batch = "",
    interval: Interval = "",
    paused: Paused = False,
    wait: Wait = False,
    timeout: Timeout = 900,
    output: Output = Format.TABLE,
) -> None:
    """List a service's versions, or put one of them in force; no version is made."""
    if number is None:
        return versions(name, output)
    stages = plan_of(partition, batch, interval, paused)
    if only_plan:
        return show_plan(
            name,
            "version",
            lambda easel: easel.services.plan_update(name, to_version=number, plan=stages),
            output,
        )
    return write(
        "version",
        lambda easel: easel.services.roll_to(name, number, plan=stages),
        f"{name} goes to version {number}",
        wait=wait,
        timeout=timeout,
        output=output,
    )


def versions(name: Name, output: Output = Format.TABLE) -> None:
    """List a service's versions: which is in force, and which one all instances ran last."""

    async def work(easel: "AsyncEasel") -> list[Standing]:
        service = await easel.services.get(name)
        stable = _stable(service)
        found = await listed(easel.services.versions(name))
        return [Standing(v, v.number == service.version, v.number == stable) for v in found]

    found = with_easel(work, "versions")
    if output is not Format.TABLE:
        rows = [{**plain(each.version), "in_force": each.in_force, "stable": each.stable} for each in found]
        return dump(rows, output)
    from cli.service_views import VERSIONS

    return show_rows(found, output, VERSIONS, f"{name} has no version")


def _stable(service: "Service") -> int:
    """The version that all instances ran last: that of before, while an update is not completed."""
    from easel_sdk.types import RolloutPhase

    rollout = service.rollout
    if rollout is None or rollout.phase is RolloutPhase.COMPLETED:
        return service.version if service.running_version else 0
    return rollout.from_version


def add_to(app: typer.Typer) -> None:
    app.command("version", rich_help_panel="Services")(version)
    app.command("versions", rich_help_panel="Services")(versions)
