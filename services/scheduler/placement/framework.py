"""The shape of a placement rule: a one-node form that speaks, and a column form that is fast.

A rule says the same thing twice. The one-node form takes a node and answers with a sentence or a score;
the column form answers for all rows at once and is what placement runs. They agree on every node.
"""

from dataclasses import dataclass
from typing import Protocol

from services.scheduler.placement.ask import Ask
from services.scheduler.placement.columns import Columns, Ints, Mask
from services.scheduler.placement.node_view import NodeView

MAX_SCORE = 100


@dataclass(frozen=True)
class Verdict:
    """Whether a node can take an instance; when it cannot, why."""

    fits: bool
    why: str = ""


FITS = Verdict(True)


def rejected(why: str) -> Verdict:
    return Verdict(False, why)


class FilterRule(Protocol):
    """Says which nodes can take an instance."""

    @property
    def name(self) -> str: ...

    def verdict(self, ask: Ask, node: NodeView) -> Verdict: ...

    def mask(self, ask: Ask, columns: Columns) -> Mask | None:
        """True where a row fits; None when every row does."""

    def summary(self, ask: Ask, columns: Columns, rows: Ints) -> tuple[str, ...]:
        """Why the given rows, all refused by this rule, were refused: phrases with their counts."""


class ScoreRule(Protocol):
    """Says which of the nodes that fit is best."""

    @property
    def name(self) -> str: ...

    def weight(self, ask: Ask) -> int:
        """What one point counts for this ask; 0 when the rule has nothing to say."""

    def score(self, ask: Ask, node: NodeView) -> int:
        """0 to MAX_SCORE."""

    def scores(self, ask: Ask, columns: Columns) -> Ints:
        """The score of every row, whether it fits or not."""
