"""A node has the memory that an instance asks for."""

from libs.domain.records import Resources
from services.scheduler.placement.ask import Ask
from services.scheduler.placement.columns import Columns, Ints
from services.scheduler.placement.rules.amount import Amount
from services.scheduler.placement.words import size


class Memory(Amount):
    """Refuses nodes with less memory free than asked."""

    name = "memory"

    def asked(self, ask: Ask) -> int:
        return ask.memory_mib

    def free(self, resources: Resources) -> int:
        return resources.memory_mib

    def column(self, columns: Columns) -> Ints:
        return columns.free_memory

    def wanted(self, amount: int) -> str:
        return f"{size(amount)} of memory"

    def left(self, amount: int) -> str:
        return size(amount)
