"""The scheduler's part of a deployment's trace: placed, ready, routed. Only listens."""

from collections.abc import Callable
from datetime import datetime

from libs.db.changes import Changes
from libs.domain.records import Instance
from libs.domain.states import InstanceState
from libs.telemetry.traces import Traces
from services.scheduler.world import World


class DeploymentStory:
    """Records spans under the trace context that is stored with each instance."""

    def __init__(self, world: World, traces: Traces, clock: Callable[[], datetime]) -> None:
        self._world, self._traces, self._clock = world, traces, clock
        self._placed: set[str] = set()
        self._ready: set[str] = set()
        # Ready instances whose routes no gateway has applied yet, and since when.
        self._unrouted: dict[str, tuple[Instance, datetime]] = {}

    def heard(self, changes: Changes) -> None:
        """A ledger listener."""
        for record in changes.delete:
            if isinstance(record, Instance):
                for known in (self._placed, self._ready):
                    known.discard(record.id)
                self._unrouted.pop(record.id, None)
        for record in changes.put:
            if isinstance(record, Instance) and record.traceparent:
                self._instance(record)

    def applied(self, lagging: Callable[[str], bool]) -> None:
        """Some gateway has applied newer routes; `lagging` tells whether it lacks an instance still."""
        for instance, since in [pair for i, pair in self._unrouted.items() if not lagging(i)]:
            del self._unrouted[instance.id]
            self._record("routes.applied", instance, since)

    def _instance(self, instance: Instance) -> None:
        if instance.state is InstanceState.SCHEDULED and instance.id not in self._placed:
            self._placed.add(instance.id)
            self._record("instance.placed", instance, instance.created_at)
        if instance.ready and instance.id not in self._ready:
            self._ready.add(instance.id)
            self._record("instance.ready", instance, instance.created_at)
            self._unrouted[instance.id] = (instance, self._clock())

    def _record(self, name: str, instance: Instance, started: datetime) -> None:
        told = {
            "service": instance.service,
            "instance": instance.id,
            "node": instance.node,
            "why": instance.why,
        }
        self._traces.record(name, instance.traceparent, started, self._clock(), told)
