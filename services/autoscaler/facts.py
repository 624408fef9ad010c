"""What the scheduler says of services, with the policies of each as the decisions take them."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC

from easel.facts.v1 import facts_pb2 as pb
from libs.domain.errors import EaselError
from services.autoscaler.cron import Timetable
from services.autoscaler.policies.model import Decision, Policy
from services.autoscaler.reading import policy_of, timetable_of

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Subject:
    """One service that a policy or a schedule may change."""

    name: str
    wanted: int
    ready: int
    waiting: int
    updating: bool
    stopped: bool
    policy: Policy | None
    timetable: Timetable | None
    autoscaler_revision: int
    cronscaler_revision: int
    # Instances that may be told to leave.
    instances: tuple[str, ...]


class Facts:
    """Every service with a policy or a schedule, by name, as the scheduler told it last."""

    def __init__(self) -> None:
        self.connected = False
        self.subjects: dict[str, Subject] = {}
        # Grows when other numbers may be needed.
        self.policies = 0
        self._touched: set[str] = set()
        self._wakes: list[Callable[[], None]] = []

    def on_change(self, wake: Callable[[], None]) -> None:
        """Calls `wake` when there is something to look at."""
        self._wakes.append(wake)

    def take(self, told: pb.WatchResponse) -> None:
        """Takes one message of the feed: all there is, or what changed."""
        if told.full:
            names = {service.name for service in told.services}
            self._forget(set(self.subjects) - names)
            self.connected = True
        self._forget(told.removed_services)
        for service in told.services:
            self._take(service)
        self._wake()

    def touched(self) -> set[str]:
        """The services that changed since this was asked last."""
        touched, self._touched = self._touched, set()
        return touched

    def touch(self, name: str) -> None:
        """Has a service looked at soon."""
        self._touched.add(name)
        self._wake()

    def assume(self, subject: Subject, wanted: int, decision: Decision) -> None:
        """What was carried out holds here until the scheduler tells it; what it told meanwhile is newer."""
        if self.subjects.get(subject.name) is not subject:
            return
        policy, timetable = subject.policy, subject.timetable
        if policy is not None and decision.bounds is not None:
            policy = replace(policy, min=decision.bounds.min, max=decision.bounds.max)
        if timetable is not None and decision.jobs:
            timetable = timetable.with_runs({run.name: run.due_at for run in decision.jobs})
        self.subjects[subject.name] = replace(subject, wanted=wanted, policy=policy, timetable=timetable)

    def _wake(self) -> None:
        for wake in self._wakes:
            wake()

    def _take(self, service: pb.ServiceFacts) -> None:
        before = self.subjects.get(service.name)
        if service.deleting or not (service.autoscaler_json or service.cronscaler_json):
            self._forget({service.name})
            return
        try:
            subject = _subject(service)
        except EaselError as refused:
            log.warning("a policy cannot be read", extra={"service": service.name, "why": str(refused)})
            self._forget({service.name})
            return
        self.subjects[service.name] = subject
        self._touched.add(service.name)
        if before is None or before.policy != subject.policy:
            self.policies += 1

    def _forget(self, names: Iterable[str]) -> None:
        for name in names:
            if self.subjects.pop(name, None) is not None:
                self._touched.add(name)
                self.policies += 1


def _subject(service: pb.ServiceFacts) -> Subject:
    staying = [each for each in service.instances if not each.leaving]
    last_runs = {
        job.name: job.last_run_at.ToDatetime(UTC) for job in service.cron_jobs if job.HasField("last_run_at")
    }
    since = service.cronscaler_updated_at.ToDatetime(UTC)
    return Subject(
        name=service.name,
        wanted=service.wanted,
        ready=sum(each.ready for each in staying),
        waiting=service.waiting,
        updating=service.updating,
        stopped=service.stopped,
        policy=_of_its_own(policy_of(service.autoscaler_json), service.name),
        timetable=timetable_of(service.cronscaler_json, since, last_runs),
        autoscaler_revision=service.autoscaler_revision,
        cronscaler_revision=service.cronscaler_revision,
        instances=tuple(each.id for each in staying),
    )


def _of_its_own(policy: Policy | None, name: str) -> Policy | None:
    """A service that names itself beside a metric means its own."""
    if policy is None or all(each.service != name for each in policy.targets):
        return policy
    own = (replace(each, service="") if each.service == name else each for each in policy.targets)
    return replace(policy, targets=tuple(own))
