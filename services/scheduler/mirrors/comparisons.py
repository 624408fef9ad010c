"""What gateways found where they compared answers: a level a connection, summed up when somebody asks."""

from collections.abc import Iterable
from itertools import groupby

from easel.common.v1 import common_pb2

# As many as one gateway tells of.
_MOST_DIFFERING = 20


class Comparisons:
    """Kept in memory only: a gateway says all of it again after a restart of the scheduler."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[common_pb2.Comparison, ...]] = {}

    def report(self, connection: str, comparisons: Iterable[common_pb2.Comparison]) -> None:
        """Replaces what this connection said before. One that is over says nothing any more."""
        told = tuple(comparisons)
        if told:
            self._told[connection] = told
        else:
            self._told.pop(connection, None)

    def of(self, service: str, targets: Iterable[str]) -> list[common_pb2.Comparison]:
        """One a target with pairs, in the order of the targets."""
        told = [each for level in self._told.values() for each in level if each.service == service]
        by_target = {
            target: list(same)
            for target, same in groupby(sorted(told, key=lambda c: c.target), key=lambda c: c.target)
        }
        return [_merged(by_target[target]) for target in targets if target in by_target]


def _merged(parts: list[common_pb2.Comparison]) -> common_pb2.Comparison:
    """Counts add up. Of the latency differences the larger is shown: quantiles cannot be added."""
    if len(parts) == 1:
        return parts[0]
    merged = common_pb2.Comparison(
        service=parts[0].service,
        target=parts[0].target,
        pairs=sum(each.pairs for each in parts),
        same_status=sum(each.same_status for each in parts),
        same_body=sum(each.same_body for each in parts),
        unanswered=sum(each.unanswered for each in parts),
        not_compared=sum(each.not_compared for each in parts),
        latency_difference_p50_ms=max(each.latency_difference_p50_ms for each in parts),
        latency_difference_p99_ms=max(each.latency_difference_p99_ms for each in parts),
    )
    pairs = sorted(
        (pair for each in parts for pair in each.differing), key=lambda p: p.at.ToNanoseconds(), reverse=True
    )
    merged.differing.extend(pairs[:_MOST_DIFFERING])
    merged.since.CopyFrom(min((each.since for each in parts), key=lambda at: at.ToNanoseconds()))
    return merged
