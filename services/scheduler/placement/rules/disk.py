"""A node has the disk that an instance asks for."""

from libs.domain.records import Resources
from services.scheduler.placement.ask import Ask
from services.scheduler.placement.columns import Columns, Ints
from services.scheduler.placement.rules.amount import Amount
from services.scheduler.placement.words import size


class Disk(Amount):
    """Refuses nodes with less disk free than asked."""

    name = "disk"

    def asked(self, ask: Ask) -> int:
        return ask.disk_mib

    def free(self, resources: Resources) -> int:
        return resources.disk_mib

    def column(self, columns: Columns) -> Ints:
        return columns.free_disk

    def wanted(self, amount: int) -> str:
        return f"{size(amount)} of disk"

    def left(self, amount: int) -> str:
        return size(amount)
