"""What agents and the other parts of Easel report, on its way into the store."""

import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from google.protobuf.message import Message

from easel.metrics.v1 import metrics_pb2 as pb
from easel.metrics.v1 import metrics_pb2_grpc as rpc
from services.metrics.components import Sample
from services.metrics.gpus import GpuState
from services.metrics.rings import Floats
from services.metrics.store import Store
from services.metrics.tables import Table

_MISSING = float("nan")


class TelemetryServicer(rpc.TelemetryServiceServicer):
    """Takes reports for as long as their sender lives. A number that is not told is missing, and never 0."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def Report(
        self, request_iterator: AsyncIterator[pb.ReportRequest], context: Any
    ) -> pb.ReportResponse:
        async for request in request_iterator:
            began = time.thread_time()
            if request.WhichOneof("report") == "node":
                take_node(self._store, request.node)
            elif request.WhichOneof("report") == "component":
                take_component(self._store, request.component)
            self._store.spent_s += time.thread_time() - began
        return pb.ReportResponse()


def take_component(store: Store, report: pb.ComponentReport) -> None:
    """Replaces what this part said before."""
    samples = tuple(Sample(each.name, dict(each.labels), each.value) for each in report.samples)
    store.components.take(report.component, report.name, report.life, samples, store.now())


def take_node(store: Store, report: pb.NodeReport) -> None:
    """Takes one report of one node. It counts from when it arrives, whatever its sender's clock says."""
    at = store.now()
    if report.HasField("use"):
        _take(store.nodes, {report.node: report.use}, at)
    instances = {use.instance: use for use in report.instances}
    _begin_anew(store.instances, instances, report.use.cpu_cores, at)
    _take(store.instances, instances, at)
    gpus = {use.uuid: use for use in report.gpus}
    _take(store.gpus, gpus, at)
    store.gpu_states.update((uuid, _state_of(use, report.node)) for uuid, use in gpus.items())
    for posted in report.custom:
        tags = dict(posted.tags)
        store.custom.take(posted.service, posted.instance, posted.name, tags, posted.value, at)


def _take(table: Table, told: Mapping[str, Message], at: float) -> None:
    if told:
        table.take(table.rows(list(told)), _numbers(table.columns, list(told.values())), at)


def _numbers(columns: Sequence[str], told: Collection[Message]) -> Floats:
    """A row for each column, NaN for what was not told."""
    return np.array([_column(column, told) for column in columns], dtype=float)


def _column(name: str, told: Collection[Message]) -> list[float]:
    fields = next(iter(told)).DESCRIPTOR.fields_by_name
    if fields[name].has_presence:
        return [getattr(each, name) if each.HasField(name) else _MISSING for each in told]
    return [getattr(each, name) for each in told]


def _begin_anew(table: Table, told: Mapping[str, pb.InstanceUse], cores: float, at: float) -> None:
    """Forgets what a sum of CPU seconds was where it fell, to more than its node can have used since then.

    An agent that was restarted has counted it anew over all of the instance's life: that is no growth.
    """
    column = table.column("cpu_seconds")
    for instance, use in told.items():
        row = table.find(instance)
        if row is None or not use.cpu_seconds < table.newest[column, row]:
            continue
        if use.cpu_seconds > max(cores, 1.0) * (at - table.heard[row] + 1.0):
            table.newest[column, row] = use.cpu_seconds


def _state_of(use: pb.GpuUse, node: str) -> GpuState:
    return GpuState(
        uuid=use.uuid,
        node=node,
        index=use.index,
        model=use.model,
        healthy=use.healthy,
        throttle_reasons=tuple(use.throttle_reasons),
        ecc_corrected=use.ecc_corrected if use.HasField("ecc_corrected") else None,
        ecc_uncorrected=use.ecc_uncorrected if use.HasField("ecc_uncorrected") else None,
        xids=dict(use.xids),
        instances=tuple(use.instances),
    )
