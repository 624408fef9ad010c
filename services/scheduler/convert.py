"""Between domain values and messages. Protos stop here."""

from datetime import datetime

from easel.admin.v1 import admin_pb2
from easel.common.v1 import common_pb2
from libs.domain.records import Event, Instance, Node, Resources, ServiceVersion, Token
from libs.domain.states import EventKind, Runtime
from libs.rpc.convert import (
    INSTANCE_STATES_OUT,
    NODE_STATES_OUT,
    RUNTIMES_OUT,
    gpu_to_proto,
    resources_to_proto,
    time_to_proto,
)

_KINDS = {
    EventKind.NORMAL: common_pb2.Event.KIND_NORMAL,
    EventKind.WARNING: common_pb2.Event.KIND_WARNING,
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
    )


def token_to_proto(token: Token) -> admin_pb2.Token:
    return admin_pb2.Token(
        id=token.id, name=token.name, role=token.role.value, created_at=time_to_proto(token.created_at)
    )
