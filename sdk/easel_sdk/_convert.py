"""From the admin API's messages to the library's values. Protos stop here."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TypeVar

from google.protobuf.timestamp_pb2 import Timestamp

from easel.admin.v1 import admin_pb2 as pb
from easel.common.v1 import common_pb2 as common
from easel_sdk import types as t

State = TypeVar("State", bound=StrEnum)


def _state(states: type[State], enum: Any, number: int, prefix: str) -> State:
    name = enum.Name(number).removeprefix(prefix)
    return states[name] if name in states.__members__ else next(iter(states))


def _at(message: Any, field: str) -> datetime | None:
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
        state=_state(t.ServiceState, common.ServiceState, message.state, "SERVICE_STATE_"),
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
        created_at=_at(message, "created_at"),
        updated_at=_at(message, "updated_at"),
        revision=message.revision,
        pending_reasons=tuple(message.pending_reasons),
        spec=_spec(message.spec_json),
    )


def version(message: pb.ServiceVersion) -> t.ServiceVersion:
    return t.ServiceVersion(message.number, _at(message, "created_at"), message.why, _spec(message.spec_json))


def change(message: pb.WatchServicesResponse) -> t.ServiceChange:
    found = service(message.service) if message.HasField("service") and not message.synced else None
    return t.ServiceChange(found, deleted=message.deleted, synced=message.synced)


def instance(message: pb.Instance) -> t.Instance:
    return t.Instance(
        id=message.id,
        service=message.service,
        version=message.version,
        state=_state(t.InstanceState, common.InstanceState, message.state, "INSTANCE_STATE_"),
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
        created_at=_at(message, "created_at"),
        started_at=_at(message, "started_at"),
        ready_at=_at(message, "ready_at"),
    )


def node(message: pb.Node) -> t.Node:
    return t.Node(
        name=message.name,
        resource_group=message.resource_group,
        state=_state(t.NodeState, common.NodeState, message.state, "NODE_STATE_"),
        schedulable=message.schedulable,
        why=message.why,
        address=message.address,
        zone=message.zone,
        runtime=_runtime(message.runtime),
        capacity=_resources(message.capacity),
        allocated=_resources(message.allocated),
        gpus=tuple(t.Gpu(g.uuid, g.index, g.model, g.memory_mib, g.healthy, g.why) for g in message.gpus),
        gpu_note=message.gpu_note,
        labels=dict(message.labels),
        instances=message.instances,
        agent_version=message.agent_version,
        last_seen=_at(message, "last_seen"),
    )


def resource_group(message: pb.ResourceGroup) -> t.ResourceGroup:
    return t.ResourceGroup(
        name=message.name,
        kind=message.kind,
        nodes=message.nodes,
        capacity=_resources(message.capacity),
        allocated=_resources(message.allocated),
        created_at=_at(message, "created_at"),
    )


def event(message: common.Event) -> t.Event:
    warning = message.kind == common.Event.KIND_WARNING
    return t.Event(
        id=message.id,
        at=_at(message, "at"),
        kind=t.EventKind.WARNING if warning else t.EventKind.NORMAL,
        reason=message.reason,
        why=message.why,
        subject_kind=message.subject_kind,
        subject=message.subject,
        service=message.service,
    )


def token(message: pb.Token) -> t.Token:
    return t.Token(message.id, message.name, message.role, _at(message, "created_at"))
