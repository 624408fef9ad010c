"""How long each phase of a start takes, from its first step until the instance is ready in that run."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from libs.domain.scaling import StartPhase
from libs.domain.states import InstanceState

_NAMES = {
    InstanceState.PULLING: "pulling",
    InstanceState.PREPARING: "preparing",
    InstanceState.STARTING: "starting",
    InstanceState.WARMING_UP: "warming_up",
}
# What takes less was not done at all, such as preparing where there is nothing to prepare.
_SHORTEST = 0.001


@dataclass(frozen=True)
class _Start:
    """One start that is under way: the phase that lasts, since when, and those that are over."""

    phase: str
    since: float
    over: tuple[StartPhase, ...] = ()

    def turned(self, phase: str, now: float) -> "_Start":
        if phase == self.phase:
            return self
        return _Start(phase, now, self.ended(now))

    def ended(self, now: float) -> tuple[StartPhase, ...]:
        """Phases in the order in which they first came; one that came again has both its times."""
        lasted = now - self.since
        if any(each.name == self.phase for each in self.over):
            return tuple(
                replace(each, seconds=each.seconds + lasted) if each.name == self.phase else each
                for each in self.over
            )
        return (*self.over, StartPhase(self.phase, lasted))


class StartPhases:
    """Measures the starts of this agent's instances. One that began before the agent did is not measured."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._starts: dict[str, _Start] = {}

    def begin(self, instance: str) -> None:
        """A new try to start it: what was measured of one before does not count."""
        self._starts[instance] = _Start(_NAMES[InstanceState.PREPARING], self._clock())

    def enter(self, instance: str, state: InstanceState) -> None:
        """What is done now. Nothing for an instance whose start is over, or that was not seen to begin."""
        start, name = self._starts.get(instance), _NAMES.get(state)
        if start is not None and name is not None:
            self._starts[instance] = start.turned(name, self._clock())

    def ready(self, instance: str) -> tuple[StartPhase, ...]:
        """The phases of the start that ends with this; none where it was not measured."""
        start = self._starts.pop(instance, None)
        if start is None:
            return ()
        return tuple(each for each in start.ended(self._clock()) if each.seconds >= _SHORTEST)

    def forget(self, instance: str) -> None:
        self._starts.pop(instance, None)
