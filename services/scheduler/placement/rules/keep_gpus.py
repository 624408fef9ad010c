"""Work without GPUs leaves the nodes that have them to work that needs them."""

from services.scheduler.placement.ask import Ask
from services.scheduler.placement.columns import Columns, Ints
from services.scheduler.placement.framework import MAX_SCORE
from services.scheduler.placement.node_view import NodeView


class KeepGpus:
    """Prefers nodes without healthy GPUs for instances that ask for none."""

    name = "keep-gpus"

    def __init__(self, weight: int) -> None:
        self._weight = weight

    def weight(self, ask: Ask) -> int:
        return 0 if ask.gpus else self._weight

    def score(self, ask: Ask, node: NodeView) -> int:
        return 0 if any(gpu.healthy for gpu in node.node.gpus) else MAX_SCORE

    def scores(self, ask: Ask, columns: Columns) -> Ints:
        return columns.gpuless * MAX_SCORE
