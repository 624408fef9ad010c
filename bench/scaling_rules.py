"""What the horizontal autoscalers of Kubernetes and Knative do by the rules that they publish, simulated.

Both decide on a load that is a total, such as requests a second, with the same target for each instance. They
decide and nothing else: instances are ready after a fixed time, and numbers are as fresh as the rules allow.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor


@dataclass(frozen=True)
class Point:
    """The load from second `t` on, for a second."""

    t: int
    load: float


@dataclass(frozen=True)
class Step:
    """What there was in second `t`."""

    t: int
    wanted: int
    ready: int


@dataclass(frozen=True)
class HpaRules:
    """Defaults of kube-controller-manager, of `behavior` in autoscaling/v2, and of the metrics server."""

    sync_s: int = 15
    scrape_s: int = 15
    tolerance: float = 0.1
    up_percent: int = 100
    up_pods: int = 4
    up_period_s: int = 15
    down_window_s: int = 300
    # When it syncs and when numbers are scraped, in seconds after the beginning of the load: a step at
    # a round time then falls in the middle between two syncs.
    sync_at: int = 7
    scrape_at: int = 0


@dataclass(frozen=True)
class KpaRules:
    """Defaults of Knative's config-autoscaler."""

    tick_s: int = 2
    stable_s: int = 60
    panic_s: int = 6
    panic_percent: int = 200
    utilisation: float = 0.7
    most_down_rate: float = 2.0
    most_up_rate: float = 1000.0
    tick_at: int = 1


def horizontal_pod_autoscaler(
    load: Sequence[Point], target: float, start_s: float, least: int, most: int, rules: HpaRules | None = None
) -> list[Step]:
    """Instances by second under Kubernetes' HorizontalPodAutoscaler, beginning with `least`."""
    hpa = _Hpa(rules or HpaRules(), load, target)
    return _simulated(load, start_s, least, most, hpa.decide)


def knative_pod_autoscaler(
    load: Sequence[Point], target: float, start_s: float, least: int, most: int, rules: KpaRules | None = None
) -> list[Step]:
    """Instances by second under Knative's autoscaler, beginning with `least`."""
    kpa = _Kpa(rules or KpaRules(), load, target)
    return _simulated(load, start_s, least, most, kpa.decide)


class _Hpa:
    def __init__(self, rules: HpaRules, load: Sequence[Point], target: float) -> None:
        self._rules, self._load, self._target = rules, load, target
        self._recommended: list[tuple[int, int]] = []
        self._added: list[tuple[int, int]] = []

    def decide(self, second: int, wanted: int, _ready: int) -> int:
        rules = self._rules
        if (second - rules.sync_at) % rules.sync_s or second < rules.sync_at:
            return wanted
        measured = self._scraped(second)
        desired = wanted
        if measured is not None and abs(measured / (wanted * self._target) - 1) > rules.tolerance:
            desired = ceil(measured / self._target)
        self._recommended.append((second, desired))
        window = [each for at, each in self._recommended if at > second - rules.down_window_s]
        if desired > wanted:
            return self._limited(second, wanted, desired)
        return min(wanted, max(window))

    def _scraped(self, second: int) -> float | None:
        """The newest scrape: the mean of the time since the one before."""
        rules = self._rules
        scrape = second - (second - rules.scrape_at) % rules.scrape_s
        return _mean(self._load, scrape, rules.scrape_s) if scrape >= rules.scrape_s else None

    def _limited(self, second: int, wanted: int, desired: int) -> int:
        """No more than 100 % or four pods, whichever is more, beyond those of a period ago."""
        rules = self._rules
        before = wanted - sum(added for at, added in self._added if at > second - rules.up_period_s)
        limit = max(ceil(before * (1 + rules.up_percent / 100)), before + rules.up_pods)
        after = max(wanted, min(desired, limit))
        self._added.append((second, after - wanted))
        return after


class _Kpa:
    def __init__(self, rules: KpaRules, load: Sequence[Point], target: float) -> None:
        self._rules, self._load, self._target = rules, load, target * rules.utilisation
        self._panicked_at: int | None = None
        self._most_in_panic = 0

    def decide(self, second: int, wanted: int, ready: int) -> int:
        rules = self._rules
        if (second - rules.tick_at) % rules.tick_s or second < rules.tick_at:
            return wanted
        pods = max(1, ready)
        stable = self._desired(second, rules.stable_s, pods)
        panic = self._desired(second, rules.panic_s, pods)
        if panic * 100 >= rules.panic_percent * pods:
            self._panicked_at = second
        elif self._panicked_at is not None and second - self._panicked_at > rules.stable_s:
            self._panicked_at, self._most_in_panic = None, 0
        if self._panicked_at is None:
            return stable
        self._most_in_panic = max(self._most_in_panic, stable, panic)
        return self._most_in_panic

    def _desired(self, second: int, window_s: int, pods: int) -> int:
        asked = ceil(_mean(self._load, second, window_s) / self._target)
        least = floor(pods / self._rules.most_down_rate)
        return min(max(asked, least), ceil(pods * self._rules.most_up_rate))


def _simulated(
    load: Sequence[Point],
    start_s: float,
    least: int,
    most: int,
    decide: Callable[[int, int, int], int],
) -> list[Step]:
    ready_at = [float("-inf")] * least
    steps = []
    for second, point in enumerate(load):
        ready = sum(at <= second for at in ready_at)
        wanted = max(least, min(most, decide(second, len(ready_at), ready)))
        ready_at = ready_at[:wanted] + [second + start_s] * (wanted - len(ready_at))
        steps.append(Step(point.t, wanted, sum(at <= second for at in ready_at)))
    return steps


def _mean(load: Sequence[Point], second: int, window_s: int) -> float:
    """Of the seconds before `second`, as far as there are any."""
    window = load[max(0, second - window_s) : second]
    return sum(point.load for point in window) / len(window) if window else 0.0
