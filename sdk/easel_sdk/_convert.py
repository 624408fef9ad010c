"""From the admin API's messages to the library's values. Protos stop here."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from easel.admin.v1 import admin_pb2 as pb
from easel.common.v1 import common_pb2 as common
from easel_sdk import types as t

State = TypeVar("State", bound=StrEnum)


def state_of(states: type[State], enum: Any, number: int, prefix: str) -> State:
    name = enum.Name(number).removeprefix(prefix)
    return states[name] if name in states.__members__ else next(iter(states))


def moment(message: Any, field: str) -> datetime | None:
    if not message.HasField(field):
        return None
    stamp: Timestamp = getattr(message, field)
    return stamp.ToDatetime(tzinfo=UTC)


def _spec(text: str) -> Mapping[str, Any]:
    if not text:
        return {}
    spec: Mapping[str, Any] = json.loads(text)
    return spec


def _runtime(number: int) -> t.Runtime | None:
    name = common.Runtime.Name(number).removeprefix("RUNTIME_")  # type: ignore[arg-type]
    return t.Runtime[name] if name in t.Runtime.__members__ else None


def _resources(message: common.Resources) -> t.Resources:
    return t.Resources(message.cpu_milli, message.memory_mib, message.disk_mib, message.gpus)


def service(message: pb.Service) -> t.Service:
    return t.Service(
        name=message.name,
        id=message.id,
        state=state_of(t.ServiceState, common.ServiceState, message.state, "SERVICE_STATE_"),
        why=message.why,
        version=message.version,
        running_version=message.running_version,
        wanted=message.wanted,
        ready=message.ready,
        pending=message.pending,
        total=message.total,
        resource_group=message.resource_group,
        endpoint=message.endpoint,
        labels=dict(message.labels),
        created_at=moment(message, "created_at"),
        updated_at=moment(message, "updated_at"),
        revision=message.revision,
        pending_reasons=tuple(message.pending_reasons),
        spec=_spec(message.spec_json),
        safety_lock=state_of(t.SafetyLock, pb.SafetyLock, message.safety_lock, "SAFETY_LOCK_"),
        latest_version=message.latest_version,
        rollout=rollout(message.rollout) if message.HasField("rollout") else None,
        delete_at=moment(message, "delete_at"),
        group=message.group,
        traffic_state=state_of(t.TrafficState, pb.TrafficState, message.traffic_state, "TRAFFIC_STATE_"),
        weight=message.weight,
        traffic_share=message.traffic_share,
        gateway=message.gateway,
    )


def rollout(message: pb.Rollout) -> t.Rollout:
    return t.Rollout(
        version=message.version,
        from_version=message.from_version,
        phase=state_of(t.RolloutPhase, pb.RolloutPhase, message.phase, "ROLLOUT_PHASE_"),
        why=message.why,
        plan=_plan(message.plan),
        updated=message.updated,
        wanted=message.wanted,
        started_at=moment(message, "started_at"),
        finished_at=moment(message, "finished_at"),
        because=message.because,
    )


def _plan(message: pb.RolloutPlan) -> t.RolloutPlan:
    interval = message.interval.ToTimedelta() if message.HasField("interval") else None
    return t.RolloutPlan(message.partition, message.batch_size, interval, message.paused)


def plan_to_proto(plan: t.RolloutPlan | None) -> pb.RolloutPlan | None:
    if plan is None:
        return None
    made = pb.RolloutPlan(partition=plan.partition, batch_size=plan.batch_size, paused=plan.paused)
    if plan.interval is not None:
        made.interval.FromTimedelta(plan.interval)
    return made


def lock_to_proto(lock: t.SafetyLock) -> "pb.SafetyLock.ValueType":
    return pb.SafetyLock.Value(f"SAFETY_LOCK_{lock.name}")


def action_to_proto(action: t.Action) -> "pb.ControlRolloutRequest.Action.ValueType":
    return pb.ControlRolloutRequest.Action.Value(f"ACTION_{action.name}")


def written(message: pb.Service, warnings: Iterable[str]) -> t.Written:
    return t.Written(service(message), tuple(warnings))


def update_plan(message: pb.PlanServiceUpdateResponse) -> t.UpdatePlan:
    return t.UpdatePlan(
        changes=tuple(t.Change(each.path, each.before, each.after) for each in message.changes),
        version=message.version,
        rolls=message.rolls,
        steps=tuple(message.steps),
        warnings=tuple(message.warnings),
    )


def finding(message: pb.Finding) -> t.Finding:
    return t.Finding(
        severity=state_of(t.Severity, pb.Finding.Severity, message.severity, "SEVERITY_"),
        cause=message.cause,
        what=message.what,
        advice=message.advice,
        subject=message.subject,
        evidence=tuple(message.evidence),
    )


def version(message: pb.ServiceVersion) -> t.ServiceVersion:
    return t.ServiceVersion(
        message.number, moment(message, "created_at"), message.why, _spec(message.spec_json)
    )


def change(message: pb.WatchServicesResponse) -> t.ServiceChange:
    found = service(message.service) if message.HasField("service") and not message.synced else None
    return t.ServiceChange(found, deleted=message.deleted, synced=message.synced)


def instance(message: pb.Instance) -> t.Instance:
    return t.Instance(
        id=message.id,
        service=message.service,
        version=message.version,
        state=state_of(t.InstanceState, common.InstanceState, message.state, "INSTANCE_STATE_"),
        why=message.why,
        ready=message.ready,
        node=message.node,
        address=message.address,
        port=message.port,
        restarts=message.restarts,
        last_exit=message.last_exit,
        gpu_uuids=tuple(message.gpu_uuids),
        resources=_resources(message.resources),
        runtime=_runtime(message.runtime),
        epoch=message.epoch,
        created_at=moment(message, "created_at"),
        started_at=moment(message, "started_at"),
        ready_at=moment(message, "ready_at"),
        isolated=message.isolated,
        detached=message.detached,
        cause=message.cause,
        progress=_progress(message),
        connections=message.connections,
        run=message.run,
        pool=message.pool,
        instance_type=message.instance_type,
    )


def _progress(message: pb.Instance | pb.ImagePullOnNode) -> t.Progress | None:
    if not message.HasField("progress"):
        return None
    far = message.progress
    return t.Progress(far.what, far.done_bytes, far.total_bytes, far.bytes_per_second)


def node(message: pb.Node) -> t.Node:
    return t.Node(
        name=message.name,
        resource_group=message.resource_group,
        state=state_of(t.NodeState, common.NodeState, message.state, "NODE_STATE_"),
        schedulable=message.schedulable,
        why=message.why,
        address=message.address,
        zone=message.zone,
        runtime=_runtime(message.runtime),
        capacity=_resources(message.capacity),
        allocated=_resources(message.allocated),
        gpus=tuple(_gpu(each) for each in message.gpus),
        gpu_note=message.gpu_note,
        draining=message.draining,
        labels=dict(message.labels),
        instances=message.instances,
        agent_version=message.agent_version,
        last_seen=moment(message, "last_seen"),
        instance_type=message.instance_type,
        price=message.price,
        spot=message.spot,
        reclaim_at=moment(message, "reclaim_at"),
        reclaim_why=message.reclaim_why,
    )


def _gpu(message: common.Gpu) -> t.Gpu:
    return t.Gpu(
        uuid=message.uuid,
        index=message.index,
        model=message.model,
        memory_mib=message.memory_mib,
        healthy=message.healthy,
        why=message.why,
        fenced=message.fenced,
    )


def resource_group(message: pb.ResourceGroup) -> t.ResourceGroup:
    return t.ResourceGroup(
        name=message.name,
        kind=message.kind,
        nodes=message.nodes,
        capacity=_resources(message.capacity),
        allocated=_resources(message.allocated),
        created_at=moment(message, "created_at"),
    )


def event(message: common.Event) -> t.Event:
    warning = message.kind == common.Event.KIND_WARNING
    return t.Event(
        id=message.id,
        at=moment(message, "at"),
        kind=t.EventKind.WARNING if warning else t.EventKind.NORMAL,
        reason=message.reason,
        why=message.why,
        subject_kind=message.subject_kind,
        subject=message.subject,
        service=message.service,
    )


def token(message: pb.Token) -> t.Token:
    return t.Token(message.id, message.name, message.role, moment(message, "created_at"))


def secret(message: pb.Secret) -> t.Secret:
    return t.Secret(
        name=message.name,
        keys=tuple(message.keys),
        created_at=moment(message, "created_at"),
        updated_at=moment(message, "updated_at"),
        used_by=tuple(message.used_by),
        why=message.why,
    )


def dataset(message: pb.Dataset) -> t.Dataset:
    return t.Dataset(
        id=message.id,
        version=message.version,
        source=_spec(message.source_json),
        description=message.description,
        created_at=moment(message, "created_at"),
        used_by=tuple(message.used_by),
    )


def image_pull(message: pb.ImagePull) -> t.ImagePull:
    nodes = (
        t.ImagePullOnNode(each.node, each.done, each.failed, each.why, _progress(each))
        for each in message.nodes
    )
    return t.ImagePull(
        message.id, message.image, message.resource_group, moment(message, "created_at"), tuple(nodes)
    )
