"""A node has the version of the GPU driver that an instance asks for."""

import numpy as np

from services.scheduler.placement.ask import Ask
from services.scheduler.placement.columns import Columns, Ints, Mask
from services.scheduler.placement.framework import FITS, Verdict, rejected
from services.scheduler.placement.names import version_matches
from services.scheduler.placement.node_view import NodeView
from services.scheduler.placement.words import verb


class GpuDriver:
    """Refuses nodes with another driver, or without one. The first parts of a version are enough."""

    name = "gpu-driver"

    def verdict(self, ask: Ask, node: NodeView) -> Verdict:
        there = node.node.gpu_driver_version
        if not ask.gpu_driver or version_matches(ask.gpu_driver, there):
            return FITS
        return rejected(f"has {there or 'no GPU driver'}, not GPU driver {ask.gpu_driver}")

    def mask(self, ask: Ask, columns: Columns) -> Mask | None:
        if not ask.gpu_driver:
            return None
        matching = [n for name, n in columns.drivers.items() if version_matches(ask.gpu_driver, name)]
        return np.isin(columns.driver, matching)

    def summary(self, ask: Ask, columns: Columns, rows: Ints) -> tuple[str, ...]:
        return (f"{verb(len(rows), 'has', 'have')} no GPU driver {ask.gpu_driver}",)
