"""What an agent's reports change. Pure: picture and reports in, changes out."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from easel.agent.v1 import agent_pb2
from libs.db.changes import Changes, Record
from libs.domain.records import Event, Instance
from libs.domain.states import TROUBLED_STATES, EventKind, InstanceState
from services.scheduler.convert import INSTANCE_STATES, time_from_proto
from services.scheduler.world import World

_LEAVING = (InstanceState.TERMINATING, InstanceState.LOST)


def changes_from_reports(
    world: World, node: str, reports: Iterable[agent_pb2.InstanceReport], now: datetime
) -> Changes:
    """Takes over what `node` says of its own instances, and nothing of others or of older epochs."""
    put: dict[str, Record] = {}
    delete: list[Record] = []
    events: list[Event] = []
    for report in reports:
        instance = world.instances.get(report.id)
        if instance is None or instance.node != node or report.epoch != instance.epoch:
            continue
        if report.gone:
            if instance.state in _LEAVING:
                delete.append(instance)
                put.pop(instance.id, None)
                events.append(_event(instance, "InstanceGone", instance.why, now))
            continue
        told = _told(instance, report)
        if told != instance:
            put[told.id] = told
            events += _transition(instance, told, now)
    return Changes(tuple(put.values()), tuple(delete), tuple(events))


def absent_after_hello(world: World, node: str, running: Iterable[str], now: datetime) -> Changes:
    """Instances that were on their way out and that the agent, just connected, no longer has."""
    there = set(running)
    gone = tuple(
        i
        for i in world.instances_on(node)
        if i.id not in there and (i.state is InstanceState.LOST or i.stopping)
    )
    return Changes(delete=gone, events=tuple(_event(i, "InstanceGone", i.why, now) for i in gone))


def _told(instance: Instance, report: agent_pb2.InstanceReport) -> Instance:
    leaving = instance.state in _LEAVING
    state = INSTANCE_STATES.get(report.state, instance.state)
    return replace(
        instance,
        state=instance.state if leaving else state,
        why=instance.why if leaving else report.why,
        ready=report.ready and not leaving,
        address=report.address or instance.address,
        port=report.port or instance.port,
        restarts=report.restarts,
        last_exit=report.last_exit or instance.last_exit,
        started_at=time_from_proto(report, "started_at") or instance.started_at,
        ready_at=time_from_proto(report, "ready_at") or instance.ready_at,
    )


def _transition(before: Instance, after: Instance, now: datetime) -> list[Event]:
    events = []
    if after.restarts > before.restarts:
        why = after.last_exit or after.why
        events.append(
            _event(after, "InstanceRestarted", f"{why}; restart {after.restarts}", now, EventKind.WARNING)
        )
    if after.ready and not before.ready:
        events.append(_event(after, "InstanceReady", f"ready at {after.address}:{after.port}", now))
    elif after.state is not before.state and after.state not in _LEAVING:
        kind = EventKind.WARNING if after.state in TROUBLED_STATES else EventKind.NORMAL
        events.append(_event(after, f"Instance{after.state.value}", after.why, now, kind))
    elif before.ready and not after.ready and after.state not in _LEAVING:
        why = after.why or "it no longer answers"
        events.append(_event(after, "InstanceNotReady", why, now, EventKind.WARNING))
    return events


def _event(
    instance: Instance, reason: str, why: str, now: datetime, kind: EventKind = EventKind.NORMAL
) -> Event:
    return Event(now, kind, reason, why, "instance", instance.id, instance.service)
