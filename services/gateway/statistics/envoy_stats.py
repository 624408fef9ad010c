"""What Envoy has counted, asked of its admin page."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from libs.domain.errors import Unavailable
from services.gateway.envoy.admin import EnvoyAdmin

NOT_OURS = "this gateway runs no Envoy of its own, and those elsewhere cannot be asked what they have counted"
_SAMPLE = re.compile(r"^(?P<name>\w+)(?:\{(?P<labels>.*)\})? (?P<value>\S+)$")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Sample:
    """One number under a name and labels, since Envoy started."""

    name: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)


class Statistics(Protocol):
    """Where numbers come from."""

    async def read(self, names: str) -> list[Sample]:
        """All that is counted under names that this regular expression fits. Raises Unavailable."""


class EnvoyStatistics:
    """The statistics of one Envoy. Values that never changed are not among them."""

    def __init__(self, admin: EnvoyAdmin) -> None:
        self._admin = admin

    async def read(self, names: str) -> list[Sample]:
        return await asyncio.to_thread(samples, await self._admin.statistics(names))


class NoStatistics:
    """Envoys that cannot be asked."""

    async def read(self, names: str) -> list[Sample]:
        raise Unavailable(NOT_OURS)


def statistics_of(admin: EnvoyAdmin | None) -> Statistics:
    """What the own Envoy counts, where there is one."""
    return NoStatistics() if admin is None else EnvoyStatistics(admin)


def samples(text: str) -> list[Sample]:
    """The text in which Envoy says its statistics, the format of Prometheus."""
    found = map(_SAMPLE.match, text.splitlines())
    return [
        Sample(each["name"], float(each["value"]), dict(_LABEL.findall(each["labels"] or "")))
        for each in found
        if each is not None
    ]
