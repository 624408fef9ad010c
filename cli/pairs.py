"""`KEY=VALUE` arguments."""

from collections.abc import Sequence

import typer


def pairs(given: Sequence[str], shape: str) -> dict[str, str]:
    """The arguments as a mapping. Ends the command with a usage error when one has another shape."""
    found: dict[str, str] = {}
    for each in given:
        key, equals, value = each.partition("=")
        if not equals or not key:
            raise typer.BadParameter(f"{each!r} is not {shape}")
        found[key] = value
    return found
