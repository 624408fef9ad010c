"""Carrying decisions out: the scheduler stores each, if what it was made from still holds."""

import logging
from dataclasses import replace

import grpc

from easel.autoscaler.v1 import autoscaler_pb2 as pb
from easel.autoscaler.v1 import autoscaler_pb2_grpc
from easel.metrics.v1 import metrics_pb2, metrics_pb2_grpc
from libs.rpc.errors import easel_error
from services.autoscaler.facts import Subject
from services.autoscaler.policies.model import Decision

log = logging.getLogger(__name__)

_APPLY_WITHIN_S = 5.0
_LOAD_WITHIN_S = 1.0
_NOTHING_SAID = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})


class Applying:
    """Applies decisions. What is refused is said once a service, and left to the next look."""

    def __init__(self, scheduler: grpc.aio.Channel, metrics: grpc.aio.Channel) -> None:
        self._scaling: autoscaler_pb2_grpc.ScalingServiceAsyncStub = autoscaler_pb2_grpc.ScalingServiceStub(
            scheduler
        )
        self._metrics: metrics_pb2_grpc.MetricsServiceAsyncStub = metrics_pb2_grpc.MetricsServiceStub(metrics)
        self._refused: dict[str, str] = {}

    async def apply(self, subject: Subject, decision: Decision) -> int:
        """How many the service has from now on.

        Raises Conflict when what it was made from does not hold any more, and EaselError when it is refused.
        """
        if decision.wanted < subject.wanted:
            decision = replace(decision, leave_first=await self._emptiest_first(subject))
        try:
            done = await self._scaling.Apply(request_of(subject, decision), timeout=_APPLY_WITHIN_S)
        except grpc.aio.AioRpcError as refused:
            self._say(subject.name, refused)
            raise easel_error(refused) from None
        self._refused.pop(subject.name, None)
        log.info(
            "scaled",
            extra={"service": subject.name, "policy": decision.policy, "why": decision.why},
        )
        return done.wanted

    async def _emptiest_first(self, subject: Subject) -> tuple[str, ...]:
        """Those with the fewest open connections first, of equal ones those that use the least CPU."""
        asked = metrics_pb2.InstantRequest(
            selectors=[
                metrics_pb2.Selector(
                    measure=measure, kind="instance", of_service=subject.name, window_s=window_s
                )
                for measure, window_s in (("connections", 0), ("cpu", 10))
            ]
        )
        try:
            told = await self._metrics.Instant(asked, timeout=_LOAD_WITHIN_S)
        except grpc.aio.AioRpcError:
            return ()
        shown = {(each.measure, each.subject): each.value for each in told.values}
        return emptiest_first(
            subject.instances,
            {each: shown[key] for each in subject.instances if (key := ("connections", each)) in shown},
            {each: shown[key] for each in subject.instances if (key := ("cpu", each)) in shown},
        )

    def _say(self, service: str, refused: grpc.aio.AioRpcError) -> None:
        """Not of a scheduler that is away, of which the facts feed tells, nor of what was overtaken."""
        code, why = refused.code(), refused.details() or ""
        if code is grpc.StatusCode.ABORTED or code in _NOTHING_SAID or self._refused.get(service) == why:
            return
        self._refused[service] = why
        log.warning("a decision was refused", extra={"service": service, "why": f"{code.name}: {why}"})


def request_of(subject: Subject, decision: Decision) -> pb.ApplyRequest:
    """The decision as the scheduler takes it, with what it was made from."""
    request = pb.ApplyRequest(
        service=subject.name,
        wanted=decision.wanted,
        expected_wanted=subject.wanted,
        autoscaler_revision=subject.autoscaler_revision,
        cronscaler_revision=subject.cronscaler_revision,
        policy=decision.policy,
        why=decision.why,
        leave_first=decision.leave_first,
    )
    if decision.metric is not None:
        request.metric, request.threshold = decision.metric.metric, decision.metric.threshold
        request.value = decision.metric.value or 0.0
    if decision.bounds is not None:
        request.bounds.min, request.bounds.max = decision.bounds.min, decision.bounds.max
    for run in decision.jobs:
        told = request.cron_jobs.add(name=run.name, state=run.state, message=run.message)
        told.due_at.FromMilliseconds(round(run.due_at * 1000))
    return request


def emptiest_first(
    instances: tuple[str, ...], connections: dict[str, float], cpu: dict[str, float]
) -> tuple[str, ...]:
    """The instances of which it is known how busy they are, the emptiest first."""
    known = [each for each in instances if each in connections]
    return tuple(sorted(known, key=lambda each: (connections[each], cpu.get(each, 0.0), each)))
