"""What an agent's reports change. Pure: picture and reports in, changes out."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from easel.agent.v1 import agent_pb2
from libs.db.changes import Changes, Record
from libs.domain.records import Event, Instance
from libs.domain.scaling import StartPhase
from libs.domain.states import TROUBLED_STATES, EventKind, InstanceState
from libs.rpc.convert import INSTANCE_STATES, time_from_proto
from services.scheduler.world import World

_LEAVING = (InstanceState.TERMINATING, InstanceState.LOST)
_NOT_THE_AGENTS = (InstanceState.PENDING, *_LEAVING)


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
        if report.gone and instance.state in _LEAVING:
            delete.append(instance)
            put.pop(instance.id, None)
            events.append(_event(instance, "InstanceGone", instance.why, now))
            continue
        told = _told(instance, report, now)
        if told != instance:
            put[told.id] = told
            events += _transition(instance, told, now)
    return Changes(tuple(put.values()), tuple(delete), tuple(events))


def absent_after_hello(world: World, node: str, running: Iterable[str], now: datetime) -> Changes:
    """What the agent, just connected, no longer has: forgotten if it was on its way out, else not ready."""
    there = set(running)
    absent = [i for i in world.instances_on(node) if i.id not in there]
    gone = tuple(i for i in absent if i.state is InstanceState.LOST or i.stopping)
    why = "its agent came back without it"
    unready = tuple(replace(i, ready=False, why=why) for i in absent if i.ready)
    return Changes(
        put=unready,
        delete=gone,
        events=(
            *(_event(i, "InstanceGone", i.why, now) for i in gone),
            *(_event(i, "InstanceNotReady", why, now, EventKind.WARNING) for i in unready),
        ),
    )


def _told(instance: Instance, report: agent_pb2.InstanceReport, now: datetime) -> Instance:
    if instance.state is InstanceState.LOST:
        return _returned(instance, now)
    leaving = instance.state is InstanceState.TERMINATING
    # Whether it is wanted and where is the scheduler's to say, whatever its agent is doing to it now.
    told = INSTANCE_STATES.get(report.state, instance.state)
    # What it says of a run before the newest soft restart is no word about the run that is wanted.
    ready = report.ready and not leaving and not report.gone and report.run >= instance.run
    return replace(
        instance,
        state=instance.state if leaving or told in _NOT_THE_AGENTS else told,
        why=instance.why if leaving else report.why,
        ready=ready,
        address=report.address or instance.address,
        port=report.port or instance.port,
        restarts=report.restarts,
        last_exit=report.last_exit or instance.last_exit,
        cause=report.cause,
        started_at=time_from_proto(report, "started_at") or instance.started_at,
        # What was ready may have had requests, also when its agent does not say since when.
        ready_at=time_from_proto(report, "ready_at") or instance.ready_at or (now if ready else None),
        phases=_phases(instance, report) if report.phases else instance.phases,
    )


def _phases(instance: Instance, report: agent_pb2.InstanceReport) -> tuple[StartPhase, ...]:
    """How long it took to find a node, and what its agent says of the rest."""
    told = [StartPhase(each.name, each.seconds) for each in report.phases]
    if instance.placed_at is not None:
        placing = max(0.0, (instance.placed_at - instance.created_at).total_seconds())
        told.insert(0, StartPhase("placing", placing))
    return tuple(told)


def _returned(instance: Instance, now: datetime) -> Instance:
    """It was given up on and is still there: it keeps its share of the node until it has been stopped."""
    return replace(
        instance,
        state=InstanceState.TERMINATING,
        why=f"node {instance.node} is back, and was given up on meanwhile",
        drain_started_at=now,
        stopping=True,
        leaves_patiently=False,
        # Its stay ended when it was given up on; this is another one.
        placed_at=now,
    )


def _transition(before: Instance, after: Instance, now: datetime) -> list[Event]:
    events = []
    if after.restarts > before.restarts:
        number = f"restart {after.restarts}"
        why = f"{after.last_exit}; {number}" if after.last_exit else after.why or number
        events.append(_event(after, "InstanceRestarted", why, now, EventKind.WARNING))
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
