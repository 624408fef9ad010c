"""A node takes instances while it is ready, schedulable, and neither drained nor taken away."""

from services.scheduler.placement.ask import Ask
from services.scheduler.placement.columns import Columns, Ints, Mask, Standing, standing
from services.scheduler.placement.framework import FITS, Verdict, rejected
from services.scheduler.placement.node_view import NodeView
from services.scheduler.placement.words import verb

_SAID = {
    Standing.LOST: "lost",
    Standing.SUSPECT: "suspect",
    Standing.DRAINING: "draining",
    Standing.CORDONED: "cordoned",
    Standing.RECLAIMED: "being taken away",
}


class NodeStanding:
    """Refuses nodes that are lost, suspect, draining, cordoned, or that are being taken away."""

    name = "standing"

    def verdict(self, ask: Ask, node: NodeView) -> Verdict:
        found = standing(node.node)
        return FITS if found is Standing.OPEN else rejected(f"is {_SAID[found]}")

    def mask(self, ask: Ask, columns: Columns) -> Mask | None:
        return columns.open

    def summary(self, ask: Ask, columns: Columns, rows: Ints) -> tuple[str, ...]:
        found = columns.standing[rows]
        counts = ((int((found == each).sum()), word) for each, word in _SAID.items())
        return tuple(f"{verb(count, 'is', 'are')} {word}" for count, word in counts if count)
