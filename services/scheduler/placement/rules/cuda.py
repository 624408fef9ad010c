"""A node has the version of CUDA that an instance wants mounted."""

import numpy as np

from services.scheduler.placement.ask import Ask
from services.scheduler.placement.columns import Columns, Ints, Mask
from services.scheduler.placement.framework import FITS, Verdict, rejected
from services.scheduler.placement.node_view import NodeView
from services.scheduler.placement.words import verb


class Cuda:
    """Refuses nodes without the version asked for."""

    name = "cuda"

    def verdict(self, ask: Ask, node: NodeView) -> Verdict:
        there = node.node.cuda_versions
        if not ask.cuda or ask.cuda in there:
            return FITS
        return rejected(f"has no CUDA {ask.cuda} to mount (has {', '.join(there) or 'none'})")

    def mask(self, ask: Ask, columns: Columns) -> Mask | None:
        if not ask.cuda:
            return None
        there = columns.has_cuda.get(ask.cuda)
        return there if there is not None else np.zeros(columns.rows, np.bool_)

    def summary(self, ask: Ask, columns: Columns, rows: Ints) -> tuple[str, ...]:
        return (f"{verb(len(rows), 'has', 'have')} no CUDA {ask.cuda} to mount",)
