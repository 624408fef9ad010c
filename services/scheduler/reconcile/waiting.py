"""Which services have an instance that waits: for room on a node, or for the requests under way to end."""

from collections import defaultdict
from collections.abc import Iterable, KeysView

from libs.db.changes import Changes
from libs.domain.records import Instance
from libs.domain.states import InstanceState


class Waiting:
    """Follows the ledger, so that nobody has to look at every instance to find the few that wait."""

    def __init__(self, instances: Iterable[Instance]) -> None:
        self._pending: defaultdict[str, set[str]] = defaultdict(set)
        self._draining: defaultdict[str, set[str]] = defaultdict(set)
        for instance in instances:
            self._put(instance)

    @property
    def for_room(self) -> KeysView[str]:
        """Services with an instance that has no node."""
        return self._pending.keys()

    @property
    def for_requests(self) -> KeysView[str]:
        """Services with an instance that left traffic and was not told to stop yet."""
        return self._draining.keys()

    def heard(self, changes: Changes) -> None:
        """A ledger listener."""
        for record in changes.delete:
            if isinstance(record, Instance):
                _drop(self._pending, record)
                _drop(self._draining, record)
        for record in changes.put:
            if isinstance(record, Instance):
                self._put(record)

    def _put(self, instance: Instance) -> None:
        leaving = instance.state is InstanceState.TERMINATING and not instance.stopping
        _keep(self._pending, instance, instance.state is InstanceState.PENDING)
        _keep(self._draining, instance, leaving)


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
