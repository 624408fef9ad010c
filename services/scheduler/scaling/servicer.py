"""The autoscaler's decisions on the wire."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

import grpc

from easel.autoscaler.v1 import autoscaler_pb2 as pb
from easel.autoscaler.v1 import autoscaler_pb2_grpc
from services.scheduler.ledger import Ledger
from services.scheduler.scaling.apply import Decision, JobRun
from services.scheduler.scaling.held_back import carry_out
from services.scheduler.scaling.history import Cause

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class ScalingServicer(autoscaler_pb2_grpc.ScalingServiceServicer):
    """Translates; what is refused is in `apply.py`."""

    def __init__(self, ledger: Ledger, clock: Callable[[], datetime]) -> None:
        self._ledger, self._clock = ledger, clock

    async def Apply(self, request: pb.ApplyRequest, context: Context) -> pb.ApplyResponse:
        decision = decision_from_proto(request)
        await carry_out(self._ledger, decision, self._clock)
        return pb.ApplyResponse(wanted=decision.wanted)


def decision_from_proto(request: pb.ApplyRequest) -> Decision:
    return Decision(
        service=request.service,
        wanted=request.wanted,
        expected_wanted=request.expected_wanted,
        autoscaler_revision=request.autoscaler_revision,
        cronscaler_revision=request.cronscaler_revision,
        cause=Cause(request.policy, request.why, request.metric, request.value, request.threshold),
        leave_first=tuple(request.leave_first),
        bounds=(request.bounds.min, request.bounds.max) if request.HasField("bounds") else None,
        jobs=tuple(
            JobRun(each.name, each.due_at.ToMilliseconds(), each.state, each.message)
            for each in request.cron_jobs
        ),
    )
