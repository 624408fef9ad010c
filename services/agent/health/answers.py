"""What the answers to one check come to: pure."""

from dataclasses import dataclass
from enum import StrEnum

from libs.spec.probe import Probe


class Check(StrEnum):
    """The checks by their keys in service.json."""

    STARTUP = "startup_check"
    LIVENESS = "liveness_check"
    READINESS = "readiness_check"


@dataclass(frozen=True)
class Answer:
    """One answer: `asked` is such as "GET /health", `said` such as "answered 503".

    `words` are the program's own; they may differ from one answer to the next that means the same.
    """

    passed: bool
    asked: str
    said: str
    words: str = ""

    def means(self, other: "Answer") -> bool:
        return (self.passed, self.asked, self.said) == (other.passed, other.asked, other.said)

    def __str__(self) -> str:
        return f'{self.asked} {self.said} "{self.words}"' if self.words else f"{self.asked} {self.said}"


@dataclass(frozen=True)
class Counted:
    """`verdict` is None until enough answers in a row agreed for the first time."""

    verdict: bool | None = None
    streak: int = 0
    last: Answer | None = None
    # The first answer of those that the verdict "no" rests on.
    failed: Answer | None = None


def counted(before: Counted, answer: Answer, probe: Probe) -> Counted:
    """One more answer. A verdict stands until enough answers in a row say otherwise."""
    goes_on = before.last is not None and before.last.passed == answer.passed
    enough = probe.success_threshold if answer.passed else probe.failure_threshold
    streak = min(before.streak + 1, enough) if goes_on else 1
    last = before.last if before.last is not None and before.last.means(answer) else answer
    if streak < enough:
        return Counted(before.verdict, streak, last, before.failed)
    return Counted(answer.passed, streak, last, None if answer.passed else last)


def sentence_of(key: str, seen: Counted, probe: Probe) -> str:
    """Why a check says no, in words that stay the same while it goes on saying so."""
    times = f" ({probe.failure_threshold} times in a row)" if probe.failure_threshold > 1 else ""
    return f"{key}: {seen.failed}{times}" if seen.failed is not None else f"{key} has not passed yet"
