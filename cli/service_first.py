"""Commands that take a service before anything else, as EAS has them, beside those that begin with a verb."""

from typing import Any

from typer.core import TyperGroup

_HELP = ("-h", "--help")


class ServiceFirst(TyperGroup):
    """`easel autoscale SERVICE -D min=2` is `easel autoscale set SERVICE -D min=2`.

    What comes first and is no verb is a service: with --dry-run its policy is played, with options that give
    one it is set, and without it is shown.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in _HELP and args[0] not in self.commands:
            args = [verb_for(args), *args]
        return super().parse_args(ctx, args)


def verb_for(arguments: list[str]) -> str:
    """Which verb is meant where none is given. Pure."""
    if "--dry-run" in arguments:
        return "replay"
    gives = any(each.startswith(("-D", "-f", "-s", "--file")) for each in arguments)
    return "set" if gives else "show"


def service_of(name: str) -> str:
    """The service's name without the region that EAS puts before it."""
    return name.rpartition("/")[2]
