"""Usage added up. Pure.

Times are cut to whole milliseconds before they are subtracted, so that the sums of adjacent spans are the sum
of the whole span, to the millisecond.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from libs.domain.errors import InvalidRequest
from libs.domain.scaling import Usage

KEYS = ("service", "resource_group", "instance_type", "workspace", "pool")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOUR_MS = 3_600_000


@dataclass
class Sum:
    """Milliseconds times instances, GPUs, thousandths of cores and MiB; `cost` by the prices of the nodes."""

    instance_ms: int = 0
    gpu_ms: int = 0
    cpu_milli_ms: int = 0
    memory_mib_ms: int = 0
    cost: float = 0.0

    def add(self, used: Usage, ms: int) -> None:
        self.instance_ms += ms
        self.gpu_ms += ms * used.gpus
        self.cpu_milli_ms += ms * used.cpu_milli
        self.memory_mib_ms += ms * used.memory_mib
        self.cost += used.price * ms / _HOUR_MS


def keys_of(by: Iterable[str]) -> tuple[str, ...]:
    """What to add up by, all there is where nothing is named. Raises InvalidRequest."""
    named = tuple(dict.fromkeys(by))
    for key in named:
        if key not in KEYS:
            raise InvalidRequest("by", key, f"one of {', '.join(KEYS)}")
    return named or KEYS


class Sums:
    """What was held from `begin` up to and without `end`, by the values of these fields, in their order."""

    def __init__(self, begin: datetime, end: datetime, by: tuple[str, ...]) -> None:
        self._first, self._last, self._by = _ms(begin), _ms(end), by
        self._found: dict[tuple[str, ...], Sum] = {}

    def add(self, used: Iterable[Usage]) -> None:
        """Adds these stays; each only once."""
        for each in used:
            ms = min(_ms(each.end), self._last) - max(_ms(each.begin), self._first)
            if ms > 0:
                key = tuple(getattr(each, field) for field in self._by)
                self._found.setdefault(key, Sum()).add(each, ms)

    @property
    def found(self) -> Mapping[tuple[str, ...], Sum]:
        """The sums so far."""
        return dict(sorted(self._found.items()))


def sums(
    used: Iterable[Usage], begin: datetime, end: datetime, by: tuple[str, ...]
) -> Mapping[tuple[str, ...], Sum]:
    """The sums of all these stays."""
    total = Sums(begin, end, by)
    total.add(used)
    return total.found


def _ms(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(milliseconds=1)
