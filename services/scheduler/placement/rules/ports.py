"""A node that hands out host ports has one left for an instance."""

import numpy as np

from services.scheduler.placement.ask import Ask
from services.scheduler.placement.columns import Columns, Ints, Mask
from services.scheduler.placement.framework import FITS, Verdict, rejected
from services.scheduler.placement.node_view import NodeView, port_range
from services.scheduler.placement.words import verb

# Below this only the host's administrator opens ports.
FIRST_ALLOWED = 1024


class Ports:
    """Refuses nodes of the process runtime where neither the declared port nor any of the range is free."""

    name = "ports"

    def verdict(self, ask: Ask, node: NodeView) -> Verdict:
        if not node.hands_out_ports or choose_port(ask.port, port_range(node.node), node.taken_ports):
            return FITS
        first, last = node.node.first_port, node.node.last_port
        return rejected(f"has no free host port (range {first}-{last})")

    def mask(self, ask: Ask, columns: Columns) -> Mask | None:
        used_up = columns.hands_out_ports & (columns.free_ports == 0)
        fits: Mask = ~used_up
        if ask.port >= FIRST_ALLOWED and used_up.any():
            for row in np.flatnonzero(used_up):
                fits[row] = ask.port not in columns.taken_ports[row]
        return fits

    def summary(self, ask: Ask, columns: Columns, rows: Ints) -> tuple[str, ...]:
        return (f"{verb(len(rows), 'has', 'have')} no free host port",)


def choose_port(declared: int, offered: range, taken: frozenset[int]) -> int:
    """The declared port when it is allowed and free, else the lowest free one offered; 0 for none."""
    if declared >= FIRST_ALLOWED and declared not in taken:
        return declared
    return next((port for port in offered if port not in taken), 0)
