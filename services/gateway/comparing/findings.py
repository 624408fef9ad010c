"""What comparisons have found since this gateway started, as a level for the scheduler."""

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from easel.common.v1 import common_pb2
from easel.gateway.v1 import gateway_pb2 as pb
from services.gateway.comparing.compare import Difference
from services.gateway.comparing.sample import Answer, Sample

_NEWEST = 20
# The newest latency differences, of which quantiles are made.
_KEPT = 1_000
_MILLISECOND = timedelta(milliseconds=1)


@dataclass
class Finding:
    """Of one service and one target. Bounded, however many pairs there are."""

    since: datetime
    pairs: int = 0
    same_status: int = 0
    same_body: int = 0
    unanswered: int = 0
    not_compared: int = 0
    later_by: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT))
    differing: deque[common_pb2.ComparedPair] = field(default_factory=lambda: deque(maxlen=_NEWEST))


class Findings:
    """Never holds headers, and of a path only what stands before its query: secrets are in both."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._found: dict[tuple[str, str], Finding] = {}
        self.changed = False

    def unanswered(self, service: str, target: str) -> None:
        """A pair without a second answer."""
        found = self._of(service, target)
        found.pairs += 1
        found.unanswered += 1

    def pair(self, service: str, target: str, sample: Sample, answer: Answer, how: Difference) -> None:
        """A pair of answers, and how they differ."""
        found = self._of(service, target)
        found.pairs += 1
        found.same_status += how.same_status
        found.same_body += how.same_body
        found.not_compared += bool(how.untold)
        found.later_by.append(how.later_by / _MILLISECOND)
        if how.any:
            found.differing.append(self._shown(sample, answer, how))

    def keep(self, compared: Collection[tuple[str, str]]) -> None:
        """Forgets pairs of service and target that are not compared any more."""
        for gone in self._found.keys() - compared:
            del self._found[gone]
            self.changed = True

    def report(self) -> pb.ConnectRequest:
        """All of it."""
        self.changed = False
        found = sorted(self._found.items())
        told = [_comparison(service, target, each) for (service, target), each in found]
        return pb.ConnectRequest(comparisons=pb.ComparisonReport(comparisons=told))

    def _of(self, service: str, target: str) -> Finding:
        self.changed = True
        if (service, target) not in self._found:
            self._found[service, target] = Finding(self._clock())
        return self._found[service, target]

    def _shown(self, sample: Sample, answer: Answer, how: Difference) -> common_pb2.ComparedPair:
        pair = common_pb2.ComparedPair(
            method=sample.method,
            path=sample.path.partition("?")[0][:200],
            status=sample.answer.status,
            target_status=answer.status,
            latency_ms=sample.answer.latency / _MILLISECOND,
            target_latency_ms=answer.latency / _MILLISECOND,
            differences=how.where,
        )
        pair.at.FromDatetime(self._clock())
        return pair


def _comparison(service: str, target: str, found: Finding) -> common_pb2.Comparison:
    ordered = sorted(found.later_by)
    comparison = common_pb2.Comparison(
        service=service,
        target=target,
        pairs=found.pairs,
        same_status=found.same_status,
        same_body=found.same_body,
        unanswered=found.unanswered,
        not_compared=found.not_compared,
        latency_difference_p50_ms=_quantile(ordered, 0.5),
        latency_difference_p99_ms=_quantile(ordered, 0.99),
        differing=reversed(found.differing),
    )
    comparison.since.FromDatetime(found.since)
    return comparison


def _quantile(ordered: list[float], share: float) -> float:
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0
