"""One thing that is wrong, or worth knowing."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum

from libs.domain.causes import ADVICE

# Of findings that say the same of many instances, so many are told one by one.
SAME_TOLD = 3
_ADVICE = {cause.value: advice for cause, advice in ADVICE.items()}


class Severity(IntEnum):
    """How much it matters: whether requests fail or nothing moves, whether they soon may, or neither."""

    ERROR = 3
    WARNING = 2
    NOTE = 1


@dataclass(frozen=True)
class Finding:
    """`subject` is the name of what it is about, `evidence` lines that show it."""

    severity: Severity
    cause: str
    what: str
    subject: str
    evidence: tuple[str, ...] = ()

    @property
    def advice(self) -> str:
        """What to do about it; empty for a cause that only a newer Easel knows."""
        return _ADVICE.get(self.cause, "")


def finding(severity: Severity, cause: str, subject: str, what: str) -> Finding:
    """Of a sentence with further lines, these are its evidence."""
    first, *rest = what.strip().splitlines() or [""]
    return Finding(severity, str(cause), first, subject, tuple(line for line in rest if line.strip()))


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Errors first, none twice, and only a few of those that say the same of many instances."""
    groups: dict[tuple[Severity, str], list[Finding]] = {}
    for each in sorted(dict.fromkeys(findings), key=lambda each: -each.severity):
        groups.setdefault((each.severity, each.cause), []).append(each)
    return [each for group in groups.values() for each in _first(group)]


def _first(group: list[Finding]) -> list[Finding]:
    told, more = group[:SAME_TOLD], len(group) - SAME_TOLD
    if more > 0:
        told[-1] = replace(told[-1], what=f"{told[-1].what} (and {more} more like this)")
    return told
