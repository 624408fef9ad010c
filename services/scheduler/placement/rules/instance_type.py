"""An instance that is to run on one type of machine gets one of that type."""

import numpy as np

from services.scheduler.placement.ask import Ask
from services.scheduler.placement.columns import Columns, Ints, Mask
from services.scheduler.placement.framework import FITS, Verdict, rejected
from services.scheduler.placement.node_view import NodeView
from services.scheduler.placement.words import verb
from services.scheduler.pool.machine import machine_of


class InstanceType:
    """Refuses nodes of other types, and those that do not say theirs. Asking for no type fits any node."""

    name = "instance-type"

    def verdict(self, ask: Ask, node: NodeView) -> Verdict:
        found = machine_of(node.node.labels).instance_type
        if ask.instance_type in ("", found):
            return FITS
        return rejected(f"is of {f'type {found}' if found else 'no type'}, not {ask.instance_type}")

    def mask(self, ask: Ask, columns: Columns) -> Mask | None:
        if not ask.instance_type:
            return None
        if ask.instance_type not in columns.types:
            return np.zeros(columns.rows, np.bool_)
        return np.equal(columns.instance_type, columns.types[ask.instance_type])

    def summary(self, ask: Ask, columns: Columns, rows: Ints) -> tuple[str, ...]:
        return (f"{verb(len(rows), 'is', 'are')} not of type {ask.instance_type}",)
