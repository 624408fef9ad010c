"""With policy `zone`, instances of a service go to different zones."""

import numpy as np

from services.scheduler.placement.ask import Ask, Spread
from services.scheduler.placement.columns import Columns, Ints
from services.scheduler.placement.framework import MAX_SCORE
from services.scheduler.placement.node_view import NodeView
from services.scheduler.placement.tally import SPARSE_ROWS


class SpreadZones:
    """One point less for each instance of the service in the node's zone. No zone is a zone of its own."""

    name = "spread-zones"

    def __init__(self, weight: int) -> None:
        self._weight = weight

    def weight(self, ask: Ask) -> int:
        return self._weight if ask.spread == Spread.ZONE else 0

    def score(self, ask: Ask, node: NodeView) -> int:
        return MAX_SCORE - min(MAX_SCORE, node.of_service_in_zone)

    def scores(self, ask: Ask, columns: Columns) -> Ints:
        per_zone = np.zeros(len(columns.zones) + 1, np.int64)
        tally = columns.services.get(ask.service)
        if tally is not None and len(tally.by_row) > SPARSE_ROWS:
            counts = np.bincount(columns.zone, tally.vector(columns.rows), len(per_zone))
            per_zone = counts.astype(np.int64)
        else:
            for row, count in tally.by_row.items() if tally else ():
                per_zone[columns.zone[row]] += count
        return (MAX_SCORE - np.minimum(per_zone, MAX_SCORE))[columns.zone]
