"""Between the agent's values and the messages of its link."""

from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp

from easel.agent.v1 import agent_pb2 as pb
from easel.common.v1 import common_pb2 as common
from libs.domain.errors import EaselError
from libs.domain.records import Gpu
from libs.domain.states import InstanceState, Runtime
from services.agent.board import Status
from services.agent.gpu import Telemetry
from services.agent.inventory import Inventory
from services.agent.mounts import Buckets
from services.agent.plan import Wanted
from services.agent.workload import spec_hash, workload_of

_STATES = {
    InstanceState.PENDING: common.INSTANCE_STATE_PENDING,
    InstanceState.SCHEDULED: common.INSTANCE_STATE_SCHEDULED,
    InstanceState.PULLING: common.INSTANCE_STATE_PULLING,
    InstanceState.PREPARING: common.INSTANCE_STATE_PREPARING,
    InstanceState.STARTING: common.INSTANCE_STATE_STARTING,
    InstanceState.RUNNING: common.INSTANCE_STATE_RUNNING,
    InstanceState.CRASH_LOOP_BACK_OFF: common.INSTANCE_STATE_CRASH_LOOP_BACK_OFF,
    InstanceState.IMAGE_PULL_BACK_OFF: common.INSTANCE_STATE_IMAGE_PULL_BACK_OFF,
    InstanceState.FAILED: common.INSTANCE_STATE_FAILED,
    InstanceState.TERMINATING: common.INSTANCE_STATE_TERMINATING,
    InstanceState.LOST: common.INSTANCE_STATE_LOST,
}
_RUNTIMES = {Runtime.PROCESS: common.RUNTIME_PROCESS, Runtime.DOCKER: common.RUNTIME_DOCKER}


def wanted_of(desired: pb.DesiredState, buckets: Buckets) -> dict[str, Wanted]:
    """What each assignment asks of this node. One that it cannot carry out keeps the refusal instead."""
    return {assignment.id: _wanted(assignment, buckets) for assignment in desired.assignments}


def _wanted(assignment: pb.Assignment, buckets: Buckets) -> Wanted:
    facts = (assignment.id, assignment.epoch, assignment.stop)
    try:
        workload = workload_of(assignment, buckets)
    except EaselError as refused:
        return Wanted(*facts, refusal=str(refused), spec_hash=spec_hash(assignment))
    return Wanted(*facts, workload, spec_hash=workload.spec_hash)


def report_of(status: Status) -> pb.InstanceReport:
    return pb.InstanceReport(
        id=status.id,
        epoch=status.epoch,
        state=_STATES[status.state],
        why=status.why,
        ready=status.ready,
        address=status.address,
        port=status.port,
        restarts=status.restarts,
        last_exit=status.last_exit,
        started_at=_timestamp(status.started_at),
        ready_at=_timestamp(status.ready_at),
        gone=status.gone,
        spec_hash=status.spec_hash,
    )


def inventory_to_proto(inventory: Inventory) -> pb.Inventory:
    capacity = inventory.capacity
    return pb.Inventory(
        capacity=common.Resources(
            cpu_milli=capacity.cpu_milli,
            memory_mib=capacity.memory_mib,
            disk_mib=capacity.disk_mib,
            gpus=capacity.gpus,
        ),
        gpus=[_gpu(gpu) for gpu in inventory.gpus],
        gpu_note=inventory.gpu_note,
        runtime=_RUNTIMES[inventory.runtime],
        address=inventory.address,
        zone=inventory.zone,
        labels=inventory.labels,
        images=inventory.images,
        first_port=inventory.first_port,
        last_port=inventory.last_port,
        busy_ports=inventory.busy_ports,
        gpu_driver_version=inventory.gpu_driver_version,
    )


def telemetry_to_proto(telemetry: Telemetry) -> pb.GpuTelemetry:
    return pb.GpuTelemetry(
        uuid=telemetry.uuid,
        utilisation_percent=telemetry.utilisation_percent,
        memory_used_mib=telemetry.memory_used_mib,
        power_watts=telemetry.power_watts,
        temperature_celsius=telemetry.temperature_celsius,
        ecc_uncorrected=telemetry.ecc_uncorrected,
        xids=telemetry.xids,
    )


def _gpu(gpu: Gpu) -> common.Gpu:
    return common.Gpu(
        uuid=gpu.uuid,
        index=gpu.index,
        model=gpu.model,
        memory_mib=gpu.memory_mib,
        healthy=gpu.healthy,
        why=gpu.why,
    )


def _timestamp(at: datetime | None) -> Timestamp | None:
    if at is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(at)
    return stamp
