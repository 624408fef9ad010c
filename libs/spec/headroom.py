"""How far the number of instances may be from the wanted one while instances are replaced."""

from dataclasses import dataclass

from libs.spec.quantity import CountOrPercent


@dataclass(frozen=True, slots=True)
class Headroom:
    """`max_surge` above and `max_unavailable` below; `least_unavailable` is the floor under a percentage."""

    max_surge: CountOrPercent
    max_unavailable: CountOrPercent
    least_unavailable: int = 0

    def of(self, wanted: int) -> tuple[int, int]:
        """How many instances above and below `wanted` there may be; never both zero.

        Percentages of the surge are rounded up, those of what may be missing down.
        """
        surge = self.max_surge.of(wanted)
        unavailable = max(self.max_unavailable.of(wanted, round_up=False), self.least_unavailable)
        return (surge, unavailable) if surge or unavailable else (1, 0)
