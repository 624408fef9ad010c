"""What the autoscaler tells metrics about its decisions, under the names of the catalogue."""

from collections import Counter
from collections.abc import Iterable, Iterator

from libs.telemetry.reporting import Sample
from services.autoscaler.facts import Subject
from services.autoscaler.policies.model import BURST, HORIZONTAL, TIMED, ZERO, Decision, Policy


class Board:
    """The newest decision of each service, and how many were applied."""

    def __init__(self) -> None:
        self._newest: dict[str, tuple[Policy | None, Decision]] = {}
        # By service, policy and direction; told from 0 on, as growth from nothing is none to Prometheus.
        self._applied: Counter[tuple[str, str, str]] = Counter()
        self._words: dict[str, tuple[str, ...]] = {}
        self._last: dict[str, str] = {}
        self._looked_at, self._look_s = 0.0, 0.0

    def looked(self, at: float, seconds: float) -> None:
        """All services were looked at."""
        self._looked_at, self._look_s = at, seconds

    def decided(self, subject: Subject, decision: Decision) -> None:
        """What the policies make of a service now."""
        self._newest[subject.name] = (subject.policy, decision)
        words = tuple(_words(subject))
        if self._words.get(subject.name) != words:
            self._words[subject.name] = words
            for word in words:
                for direction in ("up", "down"):
                    self._applied[subject.name, word, direction] += 0

    def applied(self, subject: Subject, decision: Decision) -> None:
        """The decision was carried out."""
        self._last[subject.name] = decision.policy
        if decision.wanted != subject.wanted:
            direction = "up" if decision.wanted > subject.wanted else "down"
            self._applied[subject.name, decision.policy, direction] += 1

    def forget(self, name: str) -> None:
        """A service that is gone, or has no policy any more."""
        self._newest.pop(name, None)
        self._last.pop(name, None)
        self._words.pop(name, None)
        for key in [each for each in self._applied if each[0] == name]:
            del self._applied[key]

    def samples(self) -> Iterable[Sample]:
        """Everything, for a report."""
        yield Sample("easel_autoscaler_last_look_timestamp_seconds", self._looked_at)
        yield Sample("easel_autoscaler_look_seconds", self._look_s)
        for (service, word, direction), count in self._applied.items():
            labels = {"service": service, "policy": word, "direction": direction}
            yield Sample("easel_autoscaler_decisions", count, labels)
        for service, (policy, decision) in self._newest.items():
            yield from self._of_service(service, policy, decision)

    def _of_service(self, service: str, policy: Policy | None, decision: Decision) -> Iterable[Sample]:
        made_by = {"service": service, "policy": self._last.get(service, HORIZONTAL)}
        yield Sample("easel_autoscaler_wanted_instances", decision.wanted, made_by)
        if policy is not None:
            for bound, value in (("min", policy.min), ("max", policy.max)):
                yield Sample("easel_autoscaler_bound_instances", value, {"service": service, "bound": bound})
        for each in decision.measured:
            labels = {"service": service, "metric": each.metric}
            yield Sample("easel_autoscaler_metric_threshold", each.threshold, labels)
            yield Sample("easel_autoscaler_metric_missing", float(each.value is None), labels)
            if each.value is not None:
                yield Sample("easel_autoscaler_metric_value", each.value, labels)


def _words(subject: Subject) -> Iterator[str]:
    """The policies that may decide about a service."""
    policy = subject.policy
    if policy is not None:
        yield HORIZONTAL
        if policy.burst.enabled and policy.targets:
            yield BURST
        if not policy.min:
            yield ZERO
    if subject.timetable is not None:
        yield TIMED
