"""A service runs on the nodes of its own resource group."""

import numpy as np

from services.scheduler.placement.ask import Ask
from services.scheduler.placement.columns import Columns, Ints, Mask
from services.scheduler.placement.framework import FITS, Verdict, rejected
from services.scheduler.placement.node_view import NodeView
from services.scheduler.placement.words import verb


class Group:
    """Refuses nodes of other resource groups."""

    name = "resource-group"

    def verdict(self, ask: Ask, node: NodeView) -> Verdict:
        if node.node.resource_group == ask.resource_group:
            return FITS
        return rejected(f"is in resource group {node.node.resource_group}, not {ask.resource_group}")

    def mask(self, ask: Ask, columns: Columns) -> Mask | None:
        if ask.resource_group not in columns.groups:
            return np.zeros(columns.rows, np.bool_)
        return np.equal(columns.group, columns.groups[ask.resource_group])

    def summary(self, ask: Ask, columns: Columns, rows: Ints) -> tuple[str, ...]:
        return (f"{verb(len(rows), 'is', 'are')} outside resource group {ask.resource_group}",)
