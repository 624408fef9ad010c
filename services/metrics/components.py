"""What parts of Easel count about themselves, as they last said it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

# Three reports that did not come, and some time for those on their way.
SILENT_AFTER_S = 10.0
# What one part may say: more than any does, and no flood.
_MOST_SAMPLES = 200_000


@dataclass(frozen=True)
class Sample:
    """One number under a name of the catalogue."""

    name: str
    labels: Mapping[str, str]
    value: float


@dataclass(frozen=True)
class Said:
    """The newest report of one process."""

    component: str
    name: str
    life: str
    at: float
    samples: tuple[Sample, ...] = field(repr=False)


class Components:
    """The newest report of each process, by component and name."""

    def __init__(self) -> None:
        self._said: dict[tuple[str, str], Said] = {}

    def take(self, component: str, name: str, life: str, samples: tuple[Sample, ...], at: float) -> None:
        """Replaces what this process said before."""
        self._said[component, name] = Said(component, name, life, at, samples[:_MOST_SAMPLES])

    def all(self) -> list[Said]:
        """The newest report of each, whether it is silent by now or not."""
        return list(self._said.values())

    def heard(self, now: float) -> list[Said]:
        """The newest reports of those that are not silent."""
        return [said for said in self._said.values() if said.at > now - SILENT_AFTER_S]

    def forget_before(self, at: float) -> None:
        """Forgets those that said nothing since."""
        self._said = {key: said for key, said in self._said.items() if said.at >= at}
