"""What a turn has decided so far, before it is committed in one go."""

from dataclasses import dataclass, field
from datetime import datetime

from libs.db.changes import Changes, Record
from libs.domain.records import Event, Instance, Rollout, Service
from libs.domain.states import EventKind, InstanceState


@dataclass
class Draft:
    """The last word on each record wins."""

    now: datetime
    instances: dict[str, Instance] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    rollouts: dict[str, Rollout] = field(default_factory=dict)
    delete: list[Record] = field(default_factory=list)
    # Instances that are no more.
    gone: set[str] = field(default_factory=set)
    events: list[Event] = field(default_factory=list)

    def changes(self) -> Changes:
        put: list[Record] = [*self.services.values(), *self.rollouts.values(), *self.instances.values()]
        return Changes(tuple(put), tuple(self.delete), tuple(self.events))

    def forget(self, *records: Record) -> None:
        """Deletes what was stored, and drops what was only thought of."""
        for record in records:
            match record:
                case Instance():
                    self.instances.pop(record.id, None)
                    self.gone.add(record.id)
                case Service():
                    self.services.pop(record.name, None)
                case Rollout():
                    self.rollouts.pop(record.service, None)
            if record.revision:
                self.delete.append(record)

    def of_instance(
        self, instance: Instance, reason: str, why: str, kind: EventKind = EventKind.NORMAL
    ) -> None:
        self.events.append(Event(self.now, kind, reason, why, "instance", instance.id, instance.service))

    def of_service(self, service: Service, reason: str, why: str, kind: EventKind = EventKind.NORMAL) -> None:
        self.events.append(Event(self.now, kind, reason, why, "service", service.name, service.name))

    def placed(self, instance: Instance) -> None:
        if instance.state is InstanceState.SCHEDULED:
            self.of_instance(instance, "InstanceScheduled", instance.why)
        else:
            self.of_instance(instance, "InstancePending", instance.why, EventKind.WARNING)
