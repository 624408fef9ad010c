"""Between domain values and messages. Protos stop here."""

from datetime import UTC, datetime
from typing import Any

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from easel.admin.v1 import admin_pb2
from easel.common.v1 import common_pb2
from libs.domain.records import Event, Gpu, Instance, Node, Resources, ServiceVersion, Token
from libs.domain.states import EventKind, InstanceState, NodeState, Runtime, ServiceState

SERVICE_STATES = {state: getattr(common_pb2, f"SERVICE_STATE_{state.name}") for state in ServiceState}
INSTANCE_STATES: dict[int, InstanceState] = {
    getattr(common_pb2, f"INSTANCE_STATE_{state.name}"): state for state in InstanceState
}
_INSTANCE_STATES_OUT = {state: number for number, state in INSTANCE_STATES.items()}
_NODE_STATES = {state: getattr(common_pb2, f"NODE_STATE_{state.name}") for state in NodeState}
RUNTIMES: dict[int, Runtime] = {
    getattr(common_pb2, f"RUNTIME_{runtime.name}"): runtime for runtime in Runtime
}
_RUNTIMES_OUT: dict[Runtime, Any] = {runtime: number for number, runtime in RUNTIMES.items()}
_KINDS = {
    EventKind.NORMAL: common_pb2.Event.KIND_NORMAL,
    EventKind.WARNING: common_pb2.Event.KIND_WARNING,
}


def time_to_proto(when: datetime | None) -> Timestamp | None:
    if when is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(when)
    return stamp


def time_from_proto(message: Message, field: str) -> datetime | None:
    """The time in `field`, None when it is not set."""
    if not message.HasField(field):
        return None
    stamp: Timestamp = getattr(message, field)
    return stamp.ToDatetime(UTC)


def resources_to_proto(resources: Resources) -> common_pb2.Resources:
    return common_pb2.Resources(
        cpu_milli=resources.cpu_milli,
        memory_mib=resources.memory_mib,
        disk_mib=resources.disk_mib,
        gpus=resources.gpus,
    )


def resources_from_proto(message: common_pb2.Resources) -> Resources:
    return Resources(message.cpu_milli, message.memory_mib, message.disk_mib, message.gpus)


def gpu_from_proto(message: common_pb2.Gpu) -> Gpu:
    return Gpu(message.uuid, message.index, message.model, message.memory_mib, message.healthy, message.why)


def gpu_to_proto(gpu: Gpu) -> common_pb2.Gpu:
    return common_pb2.Gpu(
        uuid=gpu.uuid,
        index=gpu.index,
        model=gpu.model,
        memory_mib=gpu.memory_mib,
        healthy=gpu.healthy,
        why=gpu.why,
    )


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
    )


def instance_to_proto(instance: Instance, runtime: Runtime | None) -> admin_pb2.Instance:
    return admin_pb2.Instance(
        id=instance.id,
        service=instance.service,
        version=instance.version,
        state=_instance_state(instance),
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
        runtime=_RUNTIMES_OUT[runtime] if runtime is not None else common_pb2.RUNTIME_UNSPECIFIED,
    )


def _instance_state(instance: Instance) -> Any:
    return _INSTANCE_STATES_OUT[instance.state]


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
    return admin_pb2.Node(
        name=node.name,
        resource_group=node.resource_group,
        state=_NODE_STATES[node.state],
        schedulable=node.schedulable,
        why=node.why,
        address=node.address,
        runtime=_RUNTIMES_OUT[node.runtime],
        capacity=resources_to_proto(node.capacity),
        allocated=resources_to_proto(allocated),
        gpus=[gpu_to_proto(gpu) for gpu in node.gpus],
        labels=dict(node.labels),
        zone=node.zone,
        last_seen=time_to_proto(last_seen or node.last_seen),
        instances=instances,
        agent_version=node.agent_version,
        gpu_note=node.gpu_note,
    )


def token_to_proto(token: Token) -> admin_pb2.Token:
    return admin_pb2.Token(
        id=token.id, name=token.name, role=token.role.value, created_at=time_to_proto(token.created_at)
    )
