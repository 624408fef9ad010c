"""One report of the node, from what was read of its parts: pure."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from easel.metrics.v1 import metrics_pb2 as pb
from libs.rpc.convert import time_to_proto
from services.agent.gpu_readings import GpuReading
from services.agent.runtime.port import Running, Use
from services.agent.telemetry.node import NodeUse
from services.agent.telemetry.posted import Value


@dataclass(frozen=True)
class Read:
    """What was read; what could not be is not there."""

    node: NodeUse | None = None
    uses: Mapping[str, Use] = field(default_factory=dict)
    gpus: Iterable[GpuReading] = ()


def report_of(
    node: str, at: datetime, read: Read, running: Iterable[Running], posted: Iterable[tuple[str, Value]]
) -> pb.NodeReport:
    """Of instances those that run and were read, of posted values those of instances that run."""
    here = {each.id: each for each in running}
    report = pb.NodeReport(node=node, at=time_to_proto(at))
    if read.node is not None:
        report.use.CopyFrom(pb.NodeUse(**_told(asdict(read.node))))
    report.instances.extend(
        pb.InstanceUse(
            instance=instance,
            service=here[instance].service,
            cpu_seconds=use.cpu_seconds,
            memory_bytes=use.memory_bytes,
            restarts=here[instance].attempt.restarts,
            connections=use.connections,
        )
        for instance, use in read.uses.items()
        if instance in here
    )
    report.gpus.extend(_gpu(each, here.values()) for each in read.gpus)
    report.custom.extend(
        pb.CustomValue(
            service=here[instance].service,
            instance=instance,
            name=value.name,
            tags=dict(value.tags),
            value=value.value,
        )
        for instance, value in posted
        if instance in here
    )
    return report


def _gpu(reading: GpuReading, running: Iterable[Running]) -> pb.GpuUse:
    holders = sorted(each.id for each in running if reading.uuid in each.gpu_uuids)
    return pb.GpuUse(**_told(asdict(reading)), instances=holders)


def _told(numbers: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in numbers.items() if value is not None}
