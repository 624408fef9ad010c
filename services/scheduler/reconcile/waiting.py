"""Which services wait: for room on a node, for gateways to route around an instance, for the next batch."""

from collections import defaultdict
from collections.abc import Iterable, KeysView
from datetime import datetime

from libs.db.changes import Changes
from libs.domain.records import Instance, Rollout
from libs.domain.states import LIVE_STATES, InstanceState
from services.scheduler.rollout.staging import due_at


class Waiting:
    """Follows the ledger, so that nobody has to look at every instance to find the few that wait."""

    def __init__(self, instances: Iterable[Instance], rollouts: Iterable[Rollout] = ()) -> None:
        self._pending: defaultdict[str, set[str]] = defaultdict(set)
        self._draining: defaultdict[str, set[str]] = defaultdict(set)
        self._batches: dict[str, datetime] = {}
        for instance in instances:
            self._put(instance)
        for rollout in rollouts:
            self._look_at(rollout)

    @property
    def for_room(self) -> KeysView[str]:
        """Services with an instance that has no node."""
        return self._pending.keys()

    @property
    def pending(self) -> int:
        """How many instances have no node."""
        return sum(map(len, self._pending.values()))

    @property
    def for_gateways(self) -> KeysView[str]:
        """Services with an instance that is out of the routes and was not told yet what to do."""
        return self._draining.keys()

    def batches_due(self, now: datetime) -> set[str]:
        """Services whose next batch may begin; each is told once, what holds it up then wakes by itself."""
        due = {service for service, at in self._batches.items() if at <= now}
        for service in due:
            del self._batches[service]
        return due

    def next_batch(self) -> datetime | None:
        """When the next of them is due."""
        return min(self._batches.values(), default=None)

    def heard(self, changes: Changes) -> None:
        """A ledger listener."""
        for record in changes.delete:
            if isinstance(record, Instance):
                _drop(self._pending, record)
                _drop(self._draining, record)
            elif isinstance(record, Rollout):
                self._batches.pop(record.service, None)
        for record in changes.put:
            if isinstance(record, Instance):
                self._put(record)
            elif isinstance(record, Rollout):
                self._look_at(record)

    def _look_at(self, rollout: Rollout) -> None:
        at = due_at(rollout)
        if at is None:
            self._batches.pop(rollout.service, None)
        else:
            self._batches[rollout.service] = at

    def _put(self, instance: Instance) -> None:
        leaving = instance.state is InstanceState.TERMINATING and not instance.stopping
        _keep(self._pending, instance, instance.state is InstanceState.PENDING)
        restarting = instance.restart_asked_at is not None and instance.state in LIVE_STATES
        _keep(self._draining, instance, leaving or restarting)


def _keep(waiting: defaultdict[str, set[str]], instance: Instance, waits: bool) -> None:
    if waits:
        waiting[instance.service].add(instance.id)
    else:
        _drop(waiting, instance)


def _drop(waiting: defaultdict[str, set[str]], instance: Instance) -> None:
    if instance.service in waiting:
        waiting[instance.service].discard(instance.id)
        if not waiting[instance.service]:
            del waiting[instance.service]
