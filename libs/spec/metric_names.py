"""The names of metrics in policies: which are measured, of what, and which are a slip of the pen. Pure."""

import re

# Of all instances together.
_TOTALS = (
    *("qps", "qps1k", "concurrency", "in_flight", "waiting", "errors", "refused"),
    *("bytes_in", "bytes_out"),
)
# Means of the instances.
_MEANS = ("error_rate", "cpu", "memory", "memory_bytes", "gpu", "gpu_memory")
_PLAIN = (*_TOTALS, *_MEANS)
# What may stand in the brackets of those that have some.
_ARGUMENTS = {
    "rt": ("p50", "p90", "p99", "avg"),
    "status": ("2xx", "3xx", "4xx", "5xx"),
    "gpu": ("util",),
}
_BRACKETED = tuple(f"{base}[{each}]" for base, inside in _ARGUMENTS.items() for each in inside)
# All that is measured of every service; beside them are those that programs post.
KNOWN = frozenset({*_PLAIN, *_BRACKETED})
_ALL_TOTALS = frozenset({*_TOTALS, *(each for each in _BRACKETED if each.startswith("status["))})
_CUSTOM = re.compile(r"custom\[([^\[\]@]+)\](?:@([^\[\]]+)\[[^\[\]]*\])?")
_HIGHEST = {"error_rate": 1, "gpu": 100, "gpu[util]": 100, "gpu_memory": 100}
_SHORT = 5


def measured(name: str) -> bool:
    """Whether somebody measures it; what nobody does is missing."""
    return name in KNOWN or _CUSTOM.fullmatch(name) is not None


def is_total(name: str) -> bool:
    """Whether it is of all instances together; all others are means of them."""
    return name in _ALL_TOTALS


def of_answers(name: str) -> bool:
    """Whether it says something about answers, and nothing where there was no request."""
    return name.startswith("rt[") or name == "error_rate"


def custom_of(name: str) -> tuple[str, str] | None:
    """The name and the tag, "" without one, of a metric that the program posts; None for other metrics."""
    found = _CUSTOM.fullmatch(name)
    return (found[1], found[2] or "") if found else None


def highest(name: str) -> int | None:
    """The value that it never goes beyond; None where there is no such value."""
    return _HIGHEST.get(name)


def meant(name: str) -> str:
    """What was expected where a name is known and misused, or nearly known; empty for all others."""
    base, bracket, rest = name.partition("[")
    if measured(name):
        return ""
    if base in _ARGUMENTS:
        return f"one of {', '.join(each for each in _BRACKETED if each.startswith(f'{base}['))}"
    if base == "custom":
        return "custom[NAME] or custom[NAME]@TAG[VALUE]"
    if base in _PLAIN:
        return f"{base} without brackets"
    near = _near(base)
    if not near:
        return ""
    whole = near if near in _PLAIN and not bracket else f"{near}{bracket}{rest}"
    return _said(whole, name)


def _said(guess: str, name: str) -> str:
    if measured(guess):
        return f"a metric that is measured; did you mean {guess}?"
    better = meant(guess)
    return better if better and guess != name else ""


def _near(base: str) -> str:
    """The known name that it was probably meant by."""
    known = (*_PLAIN, "rt", "status", "custom")
    folded = _folded(base)
    for each in (*known, *_BRACKETED):
        if _folded(each) == folded:
            return each
    near = ((_distance(folded, _folded(each)), each) for each in known if len(each) > 2)
    slips = 1 if len(base) <= _SHORT else 2
    return min((each for each in near if each[0] <= slips), default=(0, ""))[1]


def _folded(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _distance(one: str, other: str) -> int:
    """How many letters are to be put in, left out, changed or swapped with the next one."""
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, start=1):
        earlier, before, row = before, row, [i]
        for j, b in enumerate(other, start=1):
            least = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if earlier and j > 1 and a == other[j - 2] and one[i - 2] == b:
                least = min(least, earlier[j - 2] + 1)
            row.append(least)
    return row[-1]
