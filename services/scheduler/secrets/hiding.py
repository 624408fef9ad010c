"""Takes the values of secrets out of what programs, probes and installers say. Pure."""

from collections.abc import Iterable

# What is shorter would be found in words that have nothing to do with it.
_SHORTEST = 4
_HIDDEN = "******"


def without(text: str, values: Iterable[str]) -> str:
    """The text without any of these values, and without the lines of those that have many: of a private key
    the text may hold a part alone."""
    values = set(values)
    lines = {line.strip() for value in values for line in value.splitlines()}
    for value in sorted(values | lines, key=len, reverse=True):
        if len(value) >= _SHORTEST:
            text = text.replace(value, _HIDDEN)
    return text
