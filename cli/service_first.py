"""Commands that take a service before anything else, as EAS has them, beside those that begin with a verb."""

from typing import Any

import typer
from typer.core import TyperGroup

_HELP = ("-h", "--help")
_DRY_RUN = "--dry-run"
_OF_A_REPLAY = ("--dry", "--replay", "--cron", "--start-seconds", "--prometheus")


class ServiceFirst(TyperGroup):
    """`easel autoscale SERVICE -D min=2` is `easel autoscale set SERVICE -D min=2`.

    What comes first and is no verb is a service: with --dry-run its policy is played, with options that give
    one it is set, and without it is shown.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in _HELP and args[0] not in self.commands:
            if "replay" in self.commands:
                _refuse_half_a_replay(args)
            args = [verb_for(args), *args]
        return super().parse_args(ctx, args)


def _refuse_half_a_replay(arguments: list[str]) -> None:
    """Ends the command where options of a replay are given without what says that it is one."""
    given = (each.partition("=")[0] for each in arguments)
    option = next((each for each in given if each in _OF_A_REPLAY), "")
    if option and _DRY_RUN not in arguments:
        raise typer.BadParameter(f"{option} plays a load only with {_DRY_RUN}, which changes nothing")


def verb_for(arguments: list[str]) -> str:
    """Which verb is meant where none is given. Pure."""
    if _DRY_RUN in arguments:
        return "replay"
    gives = any(each.startswith(("-D", "-f", "-s", "--file")) for each in arguments)
    return "set" if gives else "show"


def service_of(name: str) -> str:
    """The service's name without the region that EAS puts before it. Ends the command on more than those."""
    region, _, service = name.rpartition("/")
    if "/" in region or (name and not service):
        raise typer.BadParameter(f"SERVICE: got {name!r}, expected a service, or REGION/SERVICE")
    return service
