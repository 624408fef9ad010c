"""ReplayService: what a policy would have done."""

import asyncio
from datetime import UTC, datetime
from typing import Any, TypeAlias

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from easel.autoscaler.v1 import autoscaler_pb2 as pb
from easel.autoscaler.v1 import autoscaler_pb2_grpc as rpc
from services.autoscaler.reading import policy_of, timetable_of
from services.autoscaler.replay import LoadPoint, Outcome, checked, replay

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class ReplayServicer(rpc.ReplayServiceServicer):
    """Works one replay out at a time, beside the loop that decides."""

    def __init__(self) -> None:
        self._one = asyncio.Lock()

    async def Replay(self, request: pb.ReplayRequest, context: Context) -> pb.ReplayResponse:
        load = checked(
            [LoadPoint(_seconds(each.at), dict(each.values)) for each in request.load],
            request.instances,
            request.start_s,
        )
        policy = policy_of(request.autoscaler_json)
        begin = datetime.fromtimestamp(load[0].at, UTC)
        timetable = timetable_of(request.cronscaler_json, begin, {})
        async with self._one:
            outcome = await asyncio.to_thread(
                replay, policy, timetable, load, request.instances, request.start_s
            )
        return outcome_to_proto(outcome)


def _seconds(at: Timestamp) -> float:
    """Since 1970; also of what no calendar has, which is refused with all else."""
    return (at.seconds * 1_000_000 + at.nanos // 1000) / 1e6


def outcome_to_proto(outcome: Outcome) -> pb.ReplayResponse:
    response = pb.ReplayResponse(
        instance_hours=outcome.instance_hours,
        seconds_over_target=outcome.seconds_over_target,
        least_instances=outcome.least,
        most_instances=outcome.most,
    )
    for step in outcome.steps:
        told = response.steps.add(instances=step.instances, policy=step.policy, why=step.why)
        told.at.FromMicroseconds(round(step.at * 1e6))
    return response
