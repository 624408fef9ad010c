"""What can be done to one instance: pure decisions for the ledger."""

from dataclasses import replace
from datetime import datetime

from libs.db.changes import Changes
from libs.domain.errors import FailedPrecondition
from libs.domain.records import Event, Instance
from libs.domain.states import EventKind, InstanceState
from services.scheduler.admin.writing import changeable
from services.scheduler.world import World

_LEFT = (InstanceState.TERMINATING, InstanceState.LOST)
_NOTHING_RUNS = (
    InstanceState.PENDING,
    InstanceState.SCHEDULED,
    InstanceState.PULLING,
    InstanceState.PREPARING,
)


def deleted(world: World, instance_id: str, now: datetime) -> Changes:
    """One that serves stays until another is ready in its place; any other leaves at once.

    Repeating it changes nothing. Raises NotFound, FailedPrecondition.
    """
    instance = world.instance(instance_id)
    service = world.service(instance.service)
    if instance.leaves_patiently and instance.state is InstanceState.TERMINATING:
        hurried = replace(instance, leaves_patiently=False)
        why = "it has its grace period from now on: its removal was asked for"
        return _told(hurried, "InstanceHurried", why, now)
    if instance.state is InstanceState.TERMINATING or instance.replace_why:
        return Changes()
    if not service.deleting:
        changeable(world, service.name, "its instances cannot be deleted")
    if instance.state is InstanceState.LOST:
        raise _in_no_state(instance)
    why = "its removal was asked for"
    if instance.serves and not service.stopped and not service.deleting:
        return _told(replace(instance, replace_why=why), "InstanceReplaceAsked", why, now)
    leaving = replace(instance, state=InstanceState.TERMINATING, ready=False, why=why, drain_started_at=now)
    return _told(leaving, "InstanceLeaving", why, now)


def restarted(world: World, instance_id: str, now: datetime) -> Changes:
    """Its program is started anew, once no request comes to it. Raises NotFound, FailedPrecondition."""
    instance = _here(world, instance_id, "its instances cannot be restarted")
    if instance.state in _NOTHING_RUNS:
        raise FailedPrecondition(
            f"instance {instance_id!r} is {instance.state.value}: it has no program to start anew"
        )
    if instance.restart_asked_at is not None:
        return Changes()
    after = replace(instance, restart_asked_at=now)
    return _told(after, "InstanceRestartAsked", "a restart of its program was asked for", now)


def isolated(world: World, instance_id: str, isolate: bool, why: str, now: datetime) -> Changes:
    """Out of traffic and kept as it is, or back into traffic. Raises NotFound, FailedPrecondition."""
    instance = _here(world, instance_id, "its instances cannot be isolated or put back")
    if instance.detached:
        raise FailedPrecondition(f"instance {instance_id!r} is detached, which cannot be undone; delete it")
    if instance.isolated is isolate:
        return Changes()
    if not isolate:
        why = why or "it may take traffic again"
        return _told(replace(instance, isolated=False), "InstancePutBack", why, now)
    _refuse_unplaced(instance)
    why = why or "its isolation was asked for"
    return _told(replace(instance, isolated=True), "InstanceIsolated", why, now)


def detached(world: World, instance_id: str, why: str, now: datetime) -> Changes:
    """Out of traffic for ever; another takes its place. Raises NotFound, FailedPrecondition."""
    instance = _here(world, instance_id, "its instances cannot be detached")
    if instance.detached:
        return Changes()
    _refuse_unplaced(instance)
    why = why or "its detachment was asked for"
    return _told(replace(instance, detached=True), "InstanceDetached", why, now)


def _here(world: World, instance_id: str, refusal: str) -> Instance:
    instance = world.instance(instance_id)
    changeable(world, instance.service, refusal)
    if instance.state in _LEFT:
        raise _in_no_state(instance)
    return instance


def _refuse_unplaced(instance: Instance) -> None:
    if instance.state is InstanceState.PENDING:
        raise FailedPrecondition(f"instance {instance.id!r} is Pending: there is nothing to keep")


def _in_no_state(instance: Instance) -> FailedPrecondition:
    why = f": {instance.why}" if instance.why else ""
    return FailedPrecondition(f"instance {instance.id!r} is {instance.state.value}{why}")


def _told(instance: Instance, reason: str, why: str, now: datetime) -> Changes:
    event = Event(now, EventKind.NORMAL, reason, why, "instance", instance.id, instance.service)
    return Changes(put=(instance,), events=(event,))
