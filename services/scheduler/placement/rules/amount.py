"""What the rules about CPU, memory and disk have in common: enough of it is free, or nothing is asked."""

from abc import ABC, abstractmethod

import numpy as np

from libs.domain.records import Resources
from services.scheduler.placement.ask import Ask
from services.scheduler.placement.columns import Columns, Ints, Mask
from services.scheduler.placement.framework import FITS, Verdict, rejected
from services.scheduler.placement.node_view import NodeView
from services.scheduler.placement.words import verb


class Amount(ABC):
    """Refuses nodes with less free than asked. Asking nothing fits anywhere, even on a shrunken node."""

    @abstractmethod
    def asked(self, ask: Ask) -> int: ...

    @abstractmethod
    def free(self, resources: Resources) -> int: ...

    @abstractmethod
    def column(self, columns: Columns) -> Ints: ...

    @abstractmethod
    def wanted(self, amount: int) -> str:
        """The amount with its noun: `4 CPUs`."""

    @abstractmethod
    def left(self, amount: int) -> str:
        """The amount as what is left: `1.5`."""

    def verdict(self, ask: Ask, node: NodeView) -> Verdict:
        asked, free = self.asked(ask), self.free(node.free)
        if asked <= 0 or asked <= free:
            return FITS
        return rejected(f"lacks {self.wanted(asked)} ({self.left(max(0, free))} free)")

    def mask(self, ask: Ask, columns: Columns) -> Mask | None:
        asked = self.asked(ask)
        return np.greater_equal(self.column(columns), asked) if asked > 0 else None

    def summary(self, ask: Ask, columns: Columns, rows: Ints) -> tuple[str, ...]:
        most = max(0, int(self.column(columns)[rows].max()))
        lacking = verb(len(rows), "lacks", "lack")
        return (f"{lacking} {self.wanted(self.asked(ask))} (most free {self.left(most)})",)
