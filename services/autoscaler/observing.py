"""Which numbers the policies need, and what they show: a batch of them a second. Without I/O."""

from collections.abc import Callable, Iterable, Mapping
from math import isfinite

from easel.metrics.v1 import metrics_pb2 as pb
from libs.spec.metric_names import measured, of_answers
from services.autoscaler.facts import Subject
from services.autoscaler.policies.model import Observed, Policy, Reading, Target
from services.autoscaler.policies.zero import QUIET_WINDOW_S

# A batch that is older says nothing of now.
STALE_AFTER_S = 10.0
# Durations of fewer seconds than this would be those of a handful of requests.
_LEAST_REQUESTS_S = 10

# A measure, the service it is of, and over how many seconds.
Key = tuple[str, str, int]


class Numbers:
    """The newest batch of numbers, and when it came."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._batches: dict[int, tuple[float, dict[Key, float]]] = {}

    def take(self, batch: pb.InstantResponse, stream: int = 0) -> None:
        """Takes a batch in place of the one before of the same stream. What is no number is missing."""
        values = {
            (each.measure, each.subject, each.window_s): each.value
            for each in batch.values
            if isfinite(each.value)
        }
        self._batches[stream] = (self._clock(), values)

    def streams(self, count: int) -> None:
        """There are so many streams from now on; what others told is forgotten."""
        self._batches = {number: batch for number, batch in self._batches.items() if number < count}

    def fresh(self) -> Mapping[Key, float]:
        """What is known now: all of the batches that are not stale. Silence is in it as 0."""
        now = self._clock()
        known: dict[Key, float] = {}
        for at, values in self._batches.values():
            if now - at <= STALE_AFTER_S:
                known = values if not known else known | values
        return known


def selectors(subjects: Iterable[Subject]) -> list[pb.Selector]:
    """What is to be asked for, one selector a measure and window, in an order that does not change."""
    wanted: dict[tuple[str, int], set[str]] = {}
    for subject in subjects:
        if subject.policy is not None:
            for measure, service, window_s in _keys(subject.name, subject.policy):
                wanted.setdefault((measure, window_s), set()).add(service)
    return [
        pb.Selector(
            measure=measure, kind="service", subjects=sorted(wanted[measure, window_s]), window_s=window_s
        )
        for measure, window_s in sorted(wanted)
    ]


def observed(subject: Subject, known: Mapping[Key, float]) -> Observed:
    """A service as the policies look at it."""
    policy, name = subject.policy, subject.name
    return Observed(
        readings=tuple(_reading(name, policy, each, known) for each in policy.targets) if policy else (),
        ready=subject.ready,
        qps=known.get(("qps", name, QUIET_WINDOW_S)),
        in_flight=known.get(("in_flight", name, 0)),
        waiting=subject.waiting,
        updating=subject.updating,
        stopped=subject.stopped,
    )


def _reading(name: str, policy: Policy, target: Target, known: Mapping[Key, float]) -> Reading:
    long, short = _target_keys(name, policy, target)
    return Reading(known.get(long), known.get(short) if policy.burst.enabled else None)


def _keys(name: str, policy: Policy) -> Iterable[Key]:
    for target in policy.targets:
        if measured(target.metric):
            long, short = _target_keys(name, policy, target)
            yield long
            if policy.burst.enabled:
                yield short
    if not policy.min:
        yield ("qps", name, QUIET_WINDOW_S)
        yield ("in_flight", name, 0)


def _target_keys(name: str, policy: Policy, target: Target) -> tuple[Key, Key]:
    least = _LEAST_REQUESTS_S if of_answers(target.metric) else 0
    whose = target.service or name
    return (
        (target.metric, whose, max(least, policy.measure_s)),
        (target.metric, whose, max(least, policy.burst.window_s)),
    )
