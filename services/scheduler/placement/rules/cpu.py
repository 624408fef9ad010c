"""A node has the CPU that an instance asks for."""

from libs.domain.records import Resources
from services.scheduler.placement.ask import Ask
from services.scheduler.placement.columns import Columns, Ints
from services.scheduler.placement.rules.amount import Amount
from services.scheduler.placement.words import cpus, number


class Cpu(Amount):
    """Refuses nodes with less CPU free than asked."""

    name = "cpu"

    def asked(self, ask: Ask) -> int:
        return ask.cpu_milli

    def free(self, resources: Resources) -> int:
        return resources.cpu_milli

    def column(self, columns: Columns) -> Ints:
        return columns.free_cpu

    def wanted(self, amount: int) -> str:
        return cpus(amount)

    def left(self, amount: int) -> str:
        return number(amount)
