"""Between domain values and the messages that several contracts share. Protos stop where this is called."""

from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from easel.common.v1 import common_pb2
from libs.domain.errors import InvalidRequest
from libs.domain.progress import Progress
from libs.domain.records import Gpu, Resources
from libs.domain.states import InstanceState, NodeState, Runtime, ServiceState

SERVICE_STATES_OUT: dict[ServiceState, Any] = {
    state: getattr(common_pb2, f"SERVICE_STATE_{state.name}") for state in ServiceState
}
INSTANCE_STATES_OUT: dict[InstanceState, Any] = {
    state: getattr(common_pb2, f"INSTANCE_STATE_{state.name}") for state in InstanceState
}
NODE_STATES_OUT: dict[NodeState, Any] = {
    state: getattr(common_pb2, f"NODE_STATE_{state.name}") for state in NodeState
}
RUNTIMES_OUT: dict[Runtime, Any] = {
    runtime: getattr(common_pb2, f"RUNTIME_{runtime.name}") for runtime in Runtime
}
INSTANCE_STATES: dict[int, InstanceState] = {number: state for state, number in INSTANCE_STATES_OUT.items()}
RUNTIMES: dict[int, Runtime] = {number: runtime for runtime, number in RUNTIMES_OUT.items()}


def time_to_proto(when: datetime | None) -> Timestamp | None:
    if when is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(when)
    return stamp


def time_from_proto(message: Message, field: str) -> datetime | None:
    """The time in `field`, None when it is not set. Raises InvalidRequest for one that no calendar has."""
    if not message.HasField(field):
        return None
    stamp: Timestamp = getattr(message, field)
    try:
        return stamp.ToDatetime(UTC)
    except (ValueError, OverflowError):
        raise InvalidRequest(field, f"{stamp.seconds} s", "a time in the years 1 to 9999") from None


def span_from_proto(message: Message, field: str) -> timedelta | None:
    """The length of time in `field`, None when it is not set. Raises InvalidRequest when it is too long."""
    if not message.HasField(field):
        return None
    span: Duration = getattr(message, field)
    try:
        return span.ToTimedelta()
    except OverflowError:
        raise InvalidRequest(
            field, f"{span.seconds} s", "a length of time below ten thousand years"
        ) from None


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


def progress_to_proto(progress: Progress) -> common_pb2.Progress:
    return common_pb2.Progress(
        what=progress.what,
        done_bytes=progress.done_bytes,
        total_bytes=progress.total_bytes,
        bytes_per_second=progress.bytes_per_second,
    )
