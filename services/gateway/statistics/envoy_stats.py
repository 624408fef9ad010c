"""What Envoy has counted, asked of its admin page."""

from dataclasses import dataclass, field
from typing import Any, Protocol

from libs.domain.errors import Unavailable
from services.gateway.envoy.admin import EnvoyAdmin

NOT_OURS = "this gateway runs no Envoy of its own, and those elsewhere cannot be asked what they have counted"


@dataclass(frozen=True)
class Span:
    """How many values lie from `lower` up to, and without, `lower + width`."""

    lower: float
    width: float
    count: int


@dataclass(frozen=True)
class Counted:
    """Counters and gauges by name, and histograms by name, since Envoy started."""

    numbers: dict[str, int] = field(default_factory=dict)
    spans: dict[str, tuple[Span, ...]] = field(default_factory=dict)


class Statistics(Protocol):
    """Where numbers come from."""

    async def read(self, names: str) -> Counted:
        """All that is counted under names that this regular expression fits. Raises Unavailable."""


class EnvoyStatistics:
    """The statistics of one Envoy. Values that never changed are not among them."""

    def __init__(self, admin: EnvoyAdmin) -> None:
        self._admin = admin

    async def read(self, names: str) -> Counted:
        return counted(await self._admin.statistics(names))


class NoStatistics:
    """Envoys that cannot be asked."""

    async def read(self, names: str) -> Counted:
        raise Unavailable(NOT_OURS)


def statistics_of(admin: EnvoyAdmin | None) -> Statistics:
    """What the own Envoy counts, where there is one."""
    return NoStatistics() if admin is None else EnvoyStatistics(admin)


def counted(answer: dict[str, Any]) -> Counted:
    """Envoy's answer, as it writes JSON with detailed histograms."""
    numbers: dict[str, int] = {}
    spans: dict[str, tuple[Span, ...]] = {}
    for each in answer.get("stats", []):
        if "histograms" not in each:
            numbers[each["name"]] = int(each["value"])
            continue
        for histogram in each["histograms"].get("details", []):
            spans[histogram["name"]] = tuple(
                Span(float(part["lower_bound"]), float(part["width"]), int(part["count"]))
                for part in histogram["totals"]
            )
    return Counted(numbers, spans)
