"""Between the agent's values and the messages of its link."""

from datetime import timedelta
from typing import Any

from easel.agent.v1 import agent_pb2 as pb
from easel.common.v1 import common_pb2 as common
from libs.domain.causes import Cause
from libs.domain.errors import EaselError
from libs.domain.gpu_troubles import GpuTrouble, TroubleKind
from libs.rpc.convert import (
    INSTANCE_STATES_OUT,
    RUNTIMES_OUT,
    gpu_to_proto,
    progress_to_proto,
    resources_to_proto,
    time_to_proto,
)
from services.agent.board import Status
from services.agent.gpu import Telemetry
from services.agent.inventory import Inventory
from services.agent.mounts import HostDirectories, NotHere
from services.agent.observed import Wanted
from services.agent.workload import spec_hash, workload_of

_TROUBLES_OUT: dict[TroubleKind, Any] = {
    kind: getattr(pb.GpuTrouble, f"KIND_{kind.name}") for kind in TroubleKind
}


def wanted_of(desired: pb.DesiredState, directories: HostDirectories) -> dict[str, Wanted]:
    """What each assignment asks of this node. One that it cannot carry out keeps the refusal instead."""
    return {assignment.id: _wanted(assignment, directories) for assignment in desired.assignments}


def _wanted(assignment: pb.Assignment, directories: HostDirectories) -> Wanted:
    facts = (assignment.id, assignment.epoch, assignment.stop)
    drain = timedelta(milliseconds=assignment.drain_ms)
    try:
        workload = workload_of(assignment, directories)
    except EaselError as refused:
        cause = refused.cause if isinstance(refused, NotHere) else Cause.NOT_ON_THIS_NODE
        hashed = spec_hash(assignment)
        return Wanted(*facts, refusal=str(refused), cause=cause, spec_hash=hashed, drain=drain)
    return Wanted(*facts, workload, spec_hash=workload.spec_hash, drain=drain)


def report_of(status: Status) -> pb.InstanceReport:
    return pb.InstanceReport(
        id=status.id,
        epoch=status.epoch,
        state=INSTANCE_STATES_OUT[status.state],
        why=status.why,
        ready=status.ready,
        address=status.address,
        port=status.port,
        restarts=status.restarts,
        last_exit=status.last_exit,
        started_at=time_to_proto(status.started_at),
        ready_at=time_to_proto(status.ready_at),
        gone=status.gone,
        spec_hash=status.spec_hash,
        cause=status.cause or "",
        progress=progress_to_proto(status.progress) if status.progress is not None else None,
        run=status.run,
        connections=status.connections,
        phases=[common.StartPhase(name=each.name, seconds=each.seconds) for each in status.phases],
    )


def inventory_to_proto(inventory: Inventory) -> pb.Inventory:
    return pb.Inventory(
        capacity=resources_to_proto(inventory.capacity),
        gpus=[gpu_to_proto(gpu) for gpu in inventory.gpus],
        gpu_note=inventory.gpu_note,
        runtime=RUNTIMES_OUT[inventory.runtime],
        address=inventory.address,
        zone=inventory.zone,
        labels=inventory.labels,
        images=inventory.images,
        first_port=inventory.first_port,
        last_port=inventory.last_port,
        busy_ports=inventory.busy_ports,
        cuda_versions=inventory.cuda_versions,
        gpu_driver_version=inventory.gpu_driver_version,
        reclaim_at=time_to_proto(inventory.reclaim.at) if inventory.reclaim is not None else None,
        reclaim_why=inventory.reclaim.why if inventory.reclaim is not None else "",
    )


def trouble_to_proto(trouble: GpuTrouble) -> pb.GpuTrouble:
    return pb.GpuTrouble(
        uuid=trouble.uuid,
        kind=_TROUBLES_OUT[trouble.kind],
        xid=trouble.xid,
        count=trouble.count,
        at=time_to_proto(trouble.at),
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
