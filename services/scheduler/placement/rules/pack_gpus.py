"""GPU work fills the GPU nodes that are in use, so that whole nodes stay free for large asks."""

import numpy as np

from services.scheduler.placement.ask import Ask
from services.scheduler.placement.columns import Columns, Ints
from services.scheduler.placement.framework import MAX_SCORE
from services.scheduler.placement.node_view import NodeView

HALF = MAX_SCORE // 2


class PackGpus:
    """Half the points for a node whose GPUs are in use, one point less for each GPU left free after."""

    name = "pack-gpus"

    def __init__(self, weight: int) -> None:
        self._weight = weight

    def weight(self, ask: Ask) -> int:
        return self._weight if ask.gpus else 0

    def score(self, ask: Ask, node: NodeView) -> int:
        left_over = len(node.free_gpus) - ask.gpus
        in_use = any(each.gpu_uuids for each in node.held)
        return HALF * in_use + HALF - min(HALF, max(0, left_over))

    def scores(self, ask: Ask, columns: Columns) -> Ints:
        left_over = np.minimum(np.maximum(columns.free_gpus - ask.gpus, 0), HALF)
        return HALF * columns.gpus_in_use + HALF - left_over
