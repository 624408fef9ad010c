"""A spot node, which its owner may take away, is used only where that is asked for, and up to a price."""

import numpy as np

from services.scheduler.placement.ask import Ask, Spot
from services.scheduler.placement.columns import Columns, Ints, Mask
from services.scheduler.placement.framework import FITS, Verdict, rejected
from services.scheduler.placement.node_view import NodeView
from services.scheduler.placement.words import verb
from services.scheduler.pool.machine import machine_of


class SpotNodes:
    """Refuses spot nodes, or all others and those that cost more than the limit. One without a price costs
    more than any limit."""

    name = "spot"

    def verdict(self, ask: Ask, node: NodeView) -> Verdict:
        machine = machine_of(node.node.labels)
        if ask.spot is Spot.ANY or (ask.spot is Spot.NONE and not machine.spot):
            return FITS
        if ask.spot is Spot.NONE:
            return rejected("is a spot node, and none is asked for")
        if not machine.spot:
            return rejected("is no spot node")
        if machine.price is None:
            return rejected("is a spot node without a price")
        if machine.price <= ask.spot_limit:
            return FITS
        return rejected(f"costs {machine.price:g} an hour, more than {ask.spot_limit:g}")

    def mask(self, ask: Ask, columns: Columns) -> Mask | None:
        if ask.spot is Spot.ANY or (ask.spot is Spot.NONE and not columns.spot_nodes):
            return None
        if ask.spot is Spot.NONE:
            return columns.firm
        return ~columns.firm & np.less_equal(columns.price, ask.spot_limit)

    def summary(self, ask: Ask, columns: Columns, rows: Ints) -> tuple[str, ...]:
        if ask.spot is Spot.NONE:
            return (f"{verb(len(rows), 'is a spot node', 'are spot nodes')}",)
        firm = int(columns.firm[rows].sum())
        prices = columns.price[rows[~columns.firm[rows]]]
        said = [verb(firm, "is no spot node", "are no spot nodes")] if firm else []
        if unknown := int(np.isinf(prices).sum()):
            said.append(verb(unknown, "has no price", "have no price"))
        if dear := len(prices) - unknown:
            said.append(f"{verb(dear, 'costs', 'cost')} more than {ask.spot_limit:g} an hour")
        return tuple(said)
