"""Work without GPUs goes where most of the CPU and memory is free."""

import numpy as np

from services.scheduler.placement.ask import Ask
from services.scheduler.placement.columns import Columns, Ints
from services.scheduler.placement.framework import MAX_SCORE
from services.scheduler.placement.node_view import NodeView, load_percent


class Room:
    """One point less for each percent of the node's CPU or memory, whichever is more, that is held."""

    name = "room"

    def __init__(self, weight: int) -> None:
        self._weight = weight

    def weight(self, ask: Ask) -> int:
        return 0 if ask.gpus else self._weight

    def score(self, ask: Ask, node: NodeView) -> int:
        return MAX_SCORE - load_percent(node.node.capacity, node.free.cpu_milli, node.free.memory_mib)

    def scores(self, ask: Ask, columns: Columns) -> Ints:
        return np.subtract(MAX_SCORE, columns.load)
