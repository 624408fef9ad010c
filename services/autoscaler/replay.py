"""What a policy would have done with a load: the very same decisions, over a simple model of instances. Pure.

The model: an instance is ready so many seconds after it was asked for, and goes at once. Totals are what they
were, however many instances there are. Means were shown by the instances that there were, and what those
carried together is shared out among those that are ready.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from math import ceil, inf

from libs.domain.errors import InvalidRequest
from libs.spec.autoscaler import MAX_REPLICAS
from libs.spec.metric_names import is_total
from services.autoscaler.cron import Timetable
from services.autoscaler.curve import Curve
from services.autoscaler.policies.decide import decide
from services.autoscaler.policies.horizontal import TOLERANCE
from services.autoscaler.policies.model import (
    LOOK_GAP_S,
    Decision,
    Marks,
    Observed,
    Policy,
    Reading,
    State,
    Target,
)
from services.autoscaler.policies.sentences import name_of
from services.autoscaler.policies.stabilise import mean_ready, remembered_ready
from services.autoscaler.policies.zero import QUIET_WINDOW_S

# A look each second, as long as that makes no more looks than this.
_MOST_LOOKS = 86_400
_KEPT_READY_S = 3600.0
MOST_POINTS = 200_000
_LONGEST_S = 31 * 86_400.0
_LONGEST_START_S = 86_400.0
# Beyond that some time zones have no calendar.
_LAST = datetime(9000, 1, 1, tzinfo=UTC).timestamp()


@dataclass(frozen=True)
class LoadPoint:
    """The load from a moment on, until the next point; a measure that is not there is missing."""

    at: float
    values: Mapping[str, float]


@dataclass(frozen=True)
class Step:
    """A change of the wanted number."""

    at: float
    instances: int
    policy: str
    why: str


@dataclass(frozen=True)
class Outcome:
    """What a replay came to."""

    steps: tuple[Step, ...]
    instance_hours: float
    seconds_over_target: float
    least: int
    most: int


def replay(
    policy: Policy | None,
    timetable: Timetable | None,
    load: Sequence[LoadPoint],
    instances: int,
    start_s: float,
) -> Outcome:
    """Replays a load, one point or more in order of time; `instances` are ready at its beginning."""
    run = _Run(policy, timetable, _Load(load, instances), _Model(instances, start_s))
    begin, end = load[0].at, load[-1].at
    tick = float(max(1, ceil((end - begin) / _MOST_LOOKS)))
    run.steps.append(Step(begin, instances, "", f"begins with {instances}"))
    now = begin
    while now <= end:
        run.look(now, tick, min(tick, end - now))
        now += tick
    sizes = [step.instances for step in run.steps]
    return Outcome(tuple(run.steps), run.held_s / 3600, run.over_s, min(sizes), max(sizes))


def checked(load: Sequence[LoadPoint], instances: int, start_s: float) -> Sequence[LoadPoint]:
    """The load, if it can be replayed. Raises InvalidRequest."""
    if not 1 <= len(load) <= MOST_POINTS:
        raise InvalidRequest("load", len(load), f"1 to {MOST_POINTS} points")
    for number, point in enumerate(load):
        if not 0 <= point.at < _LAST:
            raise InvalidRequest(f"load[{number}].at", f"{point.at:.15g} s", "a time from 1970 to 8999")
    for number, (before, after) in enumerate(pairwise(load)):
        if not before.at < after.at:
            raise InvalidRequest(f"load[{number + 1}].at", _time(after.at), f"later than {_time(before.at)}")
    if load[-1].at - load[0].at > _LONGEST_S:
        raise InvalidRequest("load", _time(load[-1].at), f"at most 31 days after {_time(load[0].at)}")
    for number, point in enumerate(load):
        for name, value in point.values.items():
            if not 0 <= value < inf:
                raise InvalidRequest(f"load[{number}].values[{name}]", value, "a number of 0 or more")
    if instances > MAX_REPLICAS:
        raise InvalidRequest("instances", instances, f"0 to {MAX_REPLICAS}")
    if not 0 <= start_s <= _LONGEST_START_S:
        raise InvalidRequest("start_s", start_s, f"0 to {_LONGEST_START_S:.0f} seconds")
    return load


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")


class _Model:
    """Instances that take their time to be ready."""

    def __init__(self, instances: int, start_s: float) -> None:
        self.wanted, self._start_s = instances, start_s
        # In order of time: who was asked for later is ready later.
        self._ready_at: list[float] = [float("-inf")] * instances

    def ready(self, now: float) -> int:
        return bisect_right(self._ready_at, now)

    def scale(self, wanted: int, now: float) -> None:
        """Those that came last, and so are ready last, go first."""
        self._ready_at = self._ready_at[:wanted]
        self._ready_at += [now + self._start_s] * (wanted - len(self._ready_at))
        self.wanted = wanted


class _Load:
    """The curves of a load by measure; those of means are of all the instances that there were."""

    def __init__(self, points: Sequence[LoadPoint], instances: int) -> None:
        self._points, self._instances = points, instances
        self._curves: dict[str, Curve] = {}

    def total(self, name: str, mean: bool, now: float, window_s: float) -> float | None:
        """What all instances together showed over the last so many seconds."""
        if name not in self._curves:
            values = (
                None
                if (value := point.values.get(name)) is None
                else value * (point.values.get("instances", self._instances) if mean else 1)
                for point in self._points
            )
            self._curves[name] = Curve([point.at for point in self._points], list(values))
        return self._curves[name].mean(now, window_s)

    def requests(self, now: float, window_s: float) -> float | None:
        """Requests a second, or in work where those are all that is known."""
        qps = self.total("qps", False, now, window_s)
        return self.total("concurrency", False, now, window_s) if qps is None else qps


@dataclass
class _Run:
    """A replay as far as it has come."""

    policy: Policy | None
    timetable: Timetable | None
    load: _Load
    model: _Model
    state: State = field(default_factory=State)
    waiting: float = 0.0
    ready: Marks = ()
    steps: list[Step] = field(default_factory=list)
    held_s: float = 0.0
    over_s: float = 0.0

    def look(self, now: float, tick: float, lasts: float) -> None:
        """One look, and what its outcome means until the next one, which is so many seconds away."""
        observed = self._observed(now, tick)
        decision, self.state = decide(
            self.policy,
            self.timetable,
            observed,
            self.model.wanted,
            now,
            self.state,
            gap_s=max(LOOK_GAP_S, 3 * tick),
        )
        self._carry_out(decision, now)
        self.held_s += self.model.wanted * lasts
        if self._is_over(now):
            self.over_s += lasts

    def _observed(self, now: float, tick: float) -> Observed:
        ready = self.model.ready(now)
        self.ready = remembered_ready(self.ready, now, ready, _KEPT_READY_S)
        requests = self.load.requests(now, max(tick, QUIET_WINDOW_S))
        self.waiting = 0.0 if ready else self.waiting + (self.load.requests(now, tick) or 0.0) * tick
        targets = self.policy.targets if self.policy else ()
        measure_s, burst_s = (self.policy.measure_s, self.policy.burst.window_s) if self.policy else (1, 1)
        return Observed(
            readings=tuple(
                Reading(self._read(each, now, measure_s), self._read(each, now, burst_s)) for each in targets
            ),
            ready=ready,
            qps=requests,
            in_flight=None if requests is None else self.load.total("in_flight", False, now, 1) or 0.0,
            waiting=ceil(self.waiting),
        )

    def _read(self, target: Target, now: float, window_s: float) -> float | None:
        mean = not is_total(target.metric)
        total = self.load.total(name_of(target), mean, now, window_s)
        if total is None or not mean:
            return total
        ready = mean_ready(self.ready, now, window_s)
        return total / ready if ready else None

    def _carry_out(self, decision: Decision, now: float) -> None:
        if decision.bounds is not None and self.policy is not None:
            self.policy = replace(self.policy, min=decision.bounds.min, max=decision.bounds.max)
        if decision.jobs and self.timetable is not None:
            self.timetable = self.timetable.with_runs({run.name: run.due_at for run in decision.jobs})
        if decision.wanted != self.model.wanted:
            self.model.scale(decision.wanted, now)
            self.steps.append(Step(now, decision.wanted, decision.policy, decision.why))

    def _is_over(self, now: float) -> bool:
        """Whether some metric is over its threshold by more than a tenth, or nobody is there for it."""
        ready = self.model.ready(now)
        for target in self.policy.targets if self.policy else ():
            total = self.load.total(name_of(target), not is_total(target.metric), now, 1)
            if total and total > ready * target.threshold * (1 + TOLERANCE) * (1 + 1e-9):
                return True
        return False
