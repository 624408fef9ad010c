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


def changed_labels(given: Sequence[str]) -> dict[str, str]:
    """`KEY=VALUE` and `KEY-` arguments; a label to remove has an empty value."""
    kept = [each for each in given if not each.endswith("-") or "=" in each]
    gone = {each[:-1]: "" for each in given if each not in kept}
    return {**pairs(kept, "KEY=VALUE or KEY-"), **gone}
