"""What programs post: the newest value of each name and tags of an instance counts, for a minute.

As windows of one value a second would cost more than they tell, a window of a custom metric is the mean over
time of what was posted, kept as the points of its last five minutes.
"""

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

VALID_FOR_S = 60.0
_MOST_POINTS = 300
_MOST_OF_AN_INSTANCE = 100
Tags = tuple[tuple[str, str], ...]


class Points:
    """When each value was posted, and the value: the newest 300. Sixteen bytes each, as there are many."""

    def __init__(self) -> None:
        self._numbers = array("d")

    def add(self, at: float, value: float) -> None:
        self._numbers.extend((at, value))
        if len(self._numbers) > 2 * _MOST_POINTS:
            del self._numbers[:2]

    @property
    def newest(self) -> tuple[float, float]:
        """Ask only where there is one."""
        return self._numbers[-2], self._numbers[-1]

    def newest_first(self) -> Iterator[tuple[float, float]]:
        for place in range(len(self._numbers) - 2, -1, -2):
            yield self._numbers[place], self._numbers[place + 1]


@dataclass
class CustomSeries:
    """Values of one name and tags of one instance."""

    service: str
    instance: str
    name: str
    tags: Tags
    # Never empty.
    points: Points = field(default_factory=Points)

    def mean(self, seconds: float, until: float) -> float | None:
        """The mean over the `seconds` before `until`; each value counts until the next, for a minute at most.

        The newest value for 0 seconds. None when no value counts then.
        """
        if seconds <= 0:
            at, value = self.points.newest
            return value if 0 <= until - at <= VALID_FOR_S else None
        weight = total = 0.0
        end = until
        for at, value in self.points.newest_first():
            span = min(end, at + VALID_FOR_S) - max(at, until - seconds)
            if span > 0:
                weight, total = weight + span, total + span * value
            end = min(end, at)
            if at <= until - seconds:
                break
        if weight == 0:
            return self.mean(0, until)
        return total / weight


class CustomValues:
    """All custom values, by instance."""

    def __init__(self) -> None:
        self._of: dict[str, dict[tuple[str, Tags], CustomSeries]] = {}

    def take(
        self, service: str, instance: str, name: str, tags: Mapping[str, str], value: float, at: float
    ) -> None:
        """Takes a value that was posted. Of an instance a hundred names and tags count at once."""
        of = self._of.setdefault(instance, {})
        key = (name, tuple(sorted(tags.items())))
        series = of.get(key)
        if series is None:
            if len(of) >= _MOST_OF_AN_INSTANCE:
                # What counts no more makes room, as at the agent, which took the value.
                for old in [old for old, each in of.items() if at - each.points.newest[0] > VALID_FOR_S]:
                    del of[old]
            if len(of) >= _MOST_OF_AN_INSTANCE:
                return
            series = of[key] = CustomSeries(service, instance, *key)
        series.points.add(at, value)

    def of(self, instance: str) -> Iterator[CustomSeries]:
        """The series of one instance."""
        yield from self._of.get(instance, {}).values()

    def all(self) -> Iterator[CustomSeries]:
        """The series of all instances."""
        for of in self._of.values():
            yield from of.values()

    def forget(self, instance: str) -> None:
        """Forgets the series of an instance."""
        self._of.pop(instance, None)

    def forget_before(self, at: float) -> None:
        """Forgets series to which nothing was posted since."""
        for instance, of in list(self._of.items()):
            self._of[instance] = {key: each for key, each in of.items() if each.points.newest[0] >= at}
            if not self._of[instance]:
                del self._of[instance]
