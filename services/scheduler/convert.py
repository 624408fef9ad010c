"""Between domain values and messages. Protos stop here."""

from datetime import datetime
from typing import Any

from google.protobuf.duration_pb2 import Duration

from easel.admin.v1 import admin_pb2
from easel.common.v1 import common_pb2
from libs.domain.errors import InvalidRequest
from libs.domain.records import Event, Instance, Node, Resources, Rollout, ServiceVersion, Token
from libs.domain.states import EventKind, RolloutPhase, Runtime, SafetyLock
from libs.rpc.convert import (
    INSTANCE_STATES_OUT,
    NODE_STATES_OUT,
    RUNTIMES_OUT,
    gpu_to_proto,
    resources_to_proto,
    time_to_proto,
)
from services.scheduler.admin.updating import UpdateAsk
from services.scheduler.diagnose.finding import Finding, Severity
from services.scheduler.pool.machine import machine_of
from services.scheduler.rollout.begin import Action, PlanAsked

_SEVERITIES = {
    Severity.NOTE: admin_pb2.Finding.SEVERITY_NOTE,
    Severity.WARNING: admin_pb2.Finding.SEVERITY_WARNING,
    Severity.ERROR: admin_pb2.Finding.SEVERITY_ERROR,
}
_KINDS = {
    EventKind.NORMAL: common_pb2.Event.KIND_NORMAL,
    EventKind.WARNING: common_pb2.Event.KIND_WARNING,
}

LONGEST_INTERVAL_S = 30 * 24 * 3600
SAFETY_LOCKS_OUT: dict[SafetyLock, Any] = {
    lock: getattr(admin_pb2, f"SAFETY_LOCK_{lock.name}") for lock in SafetyLock
}
_SAFETY_LOCKS: dict[int, SafetyLock] = {number: lock for lock, number in SAFETY_LOCKS_OUT.items()}
_PHASES: dict[RolloutPhase, Any] = {
    phase: getattr(admin_pb2, f"ROLLOUT_PHASE_{phase.name}") for phase in RolloutPhase
}
_MODES = frozenset(admin_pb2.UpdateServiceRequest.Mode.values())
_ACTIONS: dict[int, Action] = {
    getattr(admin_pb2.ControlRolloutRequest, f"ACTION_{action.name}"): action for action in Action
}


def event_to_proto(event: Event) -> common_pb2.Event:
    return common_pb2.Event(
        id=event.id,
        at=time_to_proto(event.at),
        kind=_KINDS[event.kind],
        reason=event.reason,
        why=event.why,
        subject_kind=event.subject_kind,
        subject=event.subject,
        service=event.service,
        details=dict(event.details),
    )


def instance_to_proto(instance: Instance, runtime: Runtime | None) -> admin_pb2.Instance:
    return admin_pb2.Instance(
        id=instance.id,
        service=instance.service,
        version=instance.version,
        state=INSTANCE_STATES_OUT[instance.state],
        why=instance.why,
        ready=instance.ready,
        node=instance.node,
        address=instance.address,
        port=instance.port,
        restarts=instance.restarts,
        gpu_uuids=instance.gpu_uuids,
        resources=resources_to_proto(instance.resources),
        last_exit=instance.last_exit,
        created_at=time_to_proto(instance.created_at),
        started_at=time_to_proto(instance.started_at),
        ready_at=time_to_proto(instance.ready_at),
        epoch=instance.epoch,
        runtime=RUNTIMES_OUT[runtime] if runtime is not None else common_pb2.RUNTIME_UNSPECIFIED,
        isolated=instance.isolated,
        detached=instance.detached,
        cause=instance.cause,
        run=instance.run,
        pool=instance.pool,
        instance_type=instance.instance_type,
        phases=[common_pb2.StartPhase(name=each.name, seconds=each.seconds) for each in instance.phases],
    )


def safety_lock_from_proto(lock: int) -> SafetyLock:
    """Raises InvalidRequest."""
    found = _SAFETY_LOCKS.get(lock)
    if found is None:
        raise InvalidRequest("safety_lock", lock, "none, dangerous or all")
    return found


def action_from_proto(action: int) -> Action:
    """Raises InvalidRequest."""
    found = _ACTIONS.get(action)
    if found is None:
        raise InvalidRequest("action", action, "pause, resume, promote or undo")
    return found


def update_from_proto(message: admin_pb2.UpdateServiceRequest) -> UpdateAsk:
    """Raises InvalidRequest."""
    if not message.to_version and not message.spec_json:
        raise InvalidRequest("spec_json", "", "the JSON object to merge or to replace by")
    if message.to_version and message.spec_json:
        raise InvalidRequest("to_version", message.to_version, "a version or a change, not both")
    if message.mode not in _MODES:
        raise InvalidRequest("mode", message.mode, "merge or replace")
    return UpdateAsk(
        name=message.name,
        change=message.spec_json,
        replace=message.mode == admin_pb2.UpdateServiceRequest.MODE_REPLACE,
        to_version=message.to_version,
        if_revision=message.if_revision,
        plan=plan_from_proto(message.plan) if message.HasField("plan") else None,
    )


def plan_from_proto(plan: admin_pb2.RolloutPlan) -> PlanAsked:
    """Raises InvalidRequest."""
    seconds = plan.interval.seconds if plan.HasField("interval") else None
    if seconds is not None and (plan.interval.nanos or not 0 <= seconds <= LONGEST_INTERVAL_S):
        asked = f"{seconds + plan.interval.nanos / 1e9:g} s"
        raise InvalidRequest("plan.interval", asked, "whole seconds, 30 days at most")
    return PlanAsked(plan.partition, plan.batch_size, seconds, plan.paused)


def rollout_to_proto(rollout: Rollout, updated: int, wanted: int) -> admin_pb2.Rollout:
    seconds = rollout.interval_s
    return admin_pb2.Rollout(
        version=rollout.version,
        from_version=rollout.from_version,
        phase=_PHASES[rollout.phase],
        why=rollout.why,
        plan=admin_pb2.RolloutPlan(
            partition=rollout.partition,
            batch_size=rollout.batch_size,
            interval=Duration(seconds=seconds) if seconds is not None else None,
            paused=rollout.paused,
        ),
        updated=updated,
        wanted=wanted,
        started_at=time_to_proto(rollout.started_at),
        finished_at=time_to_proto(rollout.finished_at),
        because=rollout.because,
    )


def finding_to_proto(found: Finding) -> admin_pb2.Finding:
    return admin_pb2.Finding(
        severity=_SEVERITIES[found.severity],
        cause=found.cause,
        what=found.what,
        advice=found.advice,
        subject=found.subject,
        evidence=found.evidence,
    )


def version_to_proto(version: ServiceVersion, spec_json: str) -> admin_pb2.ServiceVersion:
    return admin_pb2.ServiceVersion(
        number=version.number,
        spec_json=spec_json,
        created_at=time_to_proto(version.created_at),
        why=version.why,
    )


def node_to_proto(
    node: Node, allocated: Resources, instances: int, last_seen: datetime | None
) -> admin_pb2.Node:
    machine = machine_of(node.labels)
    return admin_pb2.Node(
        name=node.name,
        resource_group=node.resource_group,
        state=NODE_STATES_OUT[node.state],
        schedulable=node.schedulable,
        why=node.why,
        address=node.address,
        runtime=RUNTIMES_OUT[node.runtime],
        capacity=resources_to_proto(node.capacity),
        allocated=resources_to_proto(allocated),
        gpus=[gpu_to_proto(gpu) for gpu in node.gpus],
        labels=dict(node.labels),
        zone=node.zone,
        last_seen=time_to_proto(last_seen or node.last_seen),
        instances=instances,
        agent_version=node.agent_version,
        gpu_note=node.gpu_note,
        draining=node.draining,
        instance_type=machine.instance_type,
        price=machine.price or 0.0,
        spot=machine.spot,
        reclaim_at=time_to_proto(node.reclaim_at),
        reclaim_why=node.reclaim_why,
    )


def token_to_proto(token: Token) -> admin_pb2.Token:
    return admin_pb2.Token(
        id=token.id, name=token.name, role=token.role.value, created_at=time_to_proto(token.created_at)
    )
