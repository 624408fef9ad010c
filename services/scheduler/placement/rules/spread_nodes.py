"""Instances of a service go to different nodes: the fewer are there already, the better."""

import numpy as np

from services.scheduler.placement.ask import Ask, Spread
from services.scheduler.placement.columns import Columns, Ints
from services.scheduler.placement.framework import MAX_SCORE
from services.scheduler.placement.node_view import NodeView
from services.scheduler.placement.tally import SPARSE_ROWS


class SpreadNodes:
    """One point less for each instance of the service on the node. Outweighs all else for policy `host`."""

    name = "spread-nodes"

    def __init__(self, weight: int, host_weight: int) -> None:
        self._weight, self._host_weight = weight, host_weight

    def weight(self, ask: Ask) -> int:
        return self._host_weight if ask.spread == Spread.HOST else self._weight

    def score(self, ask: Ask, node: NodeView) -> int:
        return MAX_SCORE - min(MAX_SCORE, node.of_service)

    def scores(self, ask: Ask, columns: Columns) -> Ints:
        tally = columns.services.get(ask.service)
        if tally is not None and len(tally.by_row) > SPARSE_ROWS:
            return MAX_SCORE - np.minimum(tally.vector(columns.rows), MAX_SCORE)
        scores = np.full(columns.rows, MAX_SCORE, np.int64)
        for row, count in tally.by_row.items() if tally else ():
            scores[row] = MAX_SCORE - min(MAX_SCORE, count)
        return scores
