"""Amounts that are written in more than one way: sizes with units, and counts or percentages."""

import math
import re
from dataclasses import dataclass

MIB = 1
GIB = 1024

_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?) ?([KMGTP]i|[kKMGTP])?")
_BYTES_OF = {
    **{unit: 1000**power for power, unit in enumerate("KMGTP", start=1)},
    **{f"{unit}i": 1024**power for power, unit in enumerate("KMGTP", start=1)},
    "k": 1000,
}
_MAX_MIB = (1 << 31) - 1
_PERCENT = re.compile(r"(\d{1,3})%")
_COUNT = re.compile(r"\d{1,9}")


@dataclass(frozen=True, slots=True)
class Quantity:
    """An amount of memory or disk, in MiB."""

    mib: int

    def __str__(self) -> str:
        return f"{self.mib // GIB}Gi" if self.mib % GIB == 0 else f"{self.mib}Mi"


@dataclass(frozen=True, slots=True)
class CountOrPercent:
    """A number of instances, or a percentage of them."""

    number: int
    percent: bool = False

    def of(self, total: int, *, round_up: bool = True) -> int:
        """How many of `total` instances this is."""
        if not self.percent:
            return self.number
        product = total * self.number
        return -(-product // 100) if round_up else product // 100

    def __str__(self) -> str:
        return f"{self.number}%" if self.percent else str(self.number)


def parse_quantity(value: object, *, bare_unit_mib: int) -> Quantity:
    """Reads `"40Gi"`, `"512Mi"`, `"1.5G"` or a bare number of `bare_unit_mib`, rounding up to whole MiB.

    Raises ValueError for zero, for anything negative, too large (2 PiB and beyond) or unreadable.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(value)
    written = _SIZE.fullmatch(value.strip() if isinstance(value, str) else f"{value:.15g}")
    if written is None:
        raise ValueError(value)
    number, unit = float(written[1]), written[2]
    mib = number * _BYTES_OF[unit] / 1024**2 if unit else number * bare_unit_mib
    whole = math.ceil(mib)
    if not 0 < whole <= _MAX_MIB:
        raise ValueError(value)
    return Quantity(whole)


def parse_count_or_percent(value: object) -> CountOrPercent:
    """Reads `3`, `"3"` or `"20%"`. Raises ValueError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError(value)
    text = str(value).strip()
    if (percent := _PERCENT.fullmatch(text)) and int(percent[1]) <= 100:
        return CountOrPercent(int(percent[1]), percent=True)
    if _COUNT.fullmatch(text):
        return CountOrPercent(int(text))
    raise ValueError(value)
