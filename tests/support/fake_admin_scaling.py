"""Numbers, policies, schedules, capacity and usage of the in-memory admin API.

Servicers answer what tests have put into the rows, and check as the real ones do where that is seen.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from easel.admin.v1 import scaling_pb2 as pb
from easel.admin.v1 import scaling_pb2_grpc as rpc
from easel.autoscaler.v1 import autoscaler_pb2_grpc
from easel.metrics.v1 import metrics_pb2, metrics_pb2_grpc
from libs.domain.errors import InvalidRequest, InvalidSpec, NotFound
from tests.support.fake_admin_pages import Servicer

# Of more than a day no number is kept.
KEPT_S = 86_400


def at(seconds: float) -> Timestamp:
    """A moment, in seconds since 1970."""
    stamp = Timestamp()
    stamp.FromNanoseconds(round(seconds * 1e9))
    return stamp


class Metrics(Servicer, metrics_pb2_grpc.MetricsServiceServicer):
    async def Instant(self, request, context):
        return self._answer(request, self.fake.scaling.numbers)

    async def Range(self, request, context):
        rows = self.fake.scaling
        rows.asked.append(request)
        if rows.refuses is not None:
            raise rows.refuses
        self._check(request.selector)
        if request.last_s > KEPT_S:
            raise InvalidRequest("last_s", request.last_s, f"1 to {KEPT_S} seconds")
        return metrics_pb2.RangeResponse(
            series=[
                metrics_pb2.Series(
                    measure=measure,
                    kind=kind,
                    subject=subject,
                    points=[metrics_pb2.Point(at=at(moment), value=value) for moment, value in points],
                )
                for (kind, subject, measure), points in rows.series.items()
                if self._wants(request.selector, kind, subject, measure)
            ]
        )

    async def Watch(self, request, context) -> AsyncIterator[metrics_pb2.InstantResponse]:
        rows = self.fake.scaling
        for numbers in rows.watches:
            yield self._answer(request, numbers)
        if rows.watch_end is not None:
            raise rows.watch_end
        await asyncio.Event().wait()

    def _answer(self, request, numbers) -> metrics_pb2.InstantResponse:
        rows = self.fake.scaling
        rows.asked.append(request)
        if rows.refuses is not None:
            raise rows.refuses
        for selector in request.selectors:
            self._check(selector)
        values = [
            metrics_pb2.Value(
                measure=measure,
                kind=kind,
                subject=subject,
                value=value,
                window_s=selector.window_s,
                age_s=0.5,
            )
            for selector in request.selectors
            for (kind, subject, measure), value in numbers.items()
            if self._wants(selector, kind, subject, measure)
        ]
        return metrics_pb2.InstantResponse(at=at(1_900_000_000), values=values)

    def _check(self, selector) -> None:
        if selector.measure in self.fake.scaling.unmeasured:
            raise InvalidRequest("selectors[0].measure", selector.measure, "a measure of kind service: qps")

    def _wants(self, selector, kind: str, subject: str, measure: str) -> bool:
        named = not selector.subjects or subject in selector.subjects
        of = self.fake.scaling.service_of.get(subject, "")
        return (
            named and (kind, measure) == (selector.kind, selector.measure) and selector.of_service in ("", of)
        )


class Autoscalers(Servicer, rpc.AutoscalerServiceServicer):
    async def SetAutoscaler(self, request, context):
        service, rows = self.fake.service(request.service), self.fake.scaling
        rows.merges.append(request)
        before = rows.autoscalers.get(request.service)
        kept = json.loads(before.policy_json) if before is not None and request.merge else {}
        policy = {**kept, **_document(request.policy_json, "autoscaler")}
        found = rows.autoscalers.setdefault(request.service, pb.Autoscaler(service=request.service))
        found.policy_json, found.revision = json.dumps(policy), found.revision + 1
        found.wanted, found.ready = service.wanted, service.ready
        warnings = [f"{key}: unknown key, kept without effect" for key in policy if key.startswith("x-")]
        return pb.SetAutoscalerResponse(autoscaler=found, warnings=warnings)

    async def GetAutoscaler(self, request, context):
        return pb.GetAutoscalerResponse(autoscaler=self._autoscaler(request.service))

    async def ListAutoscalers(self, request, context):
        found, token = self.page(list(self.fake.scaling.autoscalers.values()), request)
        return pb.ListAutoscalersResponse(autoscalers=found, next_page_token=token)

    async def DeleteAutoscaler(self, request, context):
        del self.fake.scaling.autoscalers[self._autoscaler(request.service).service]
        return pb.DeleteAutoscalerResponse()

    async def SetCronscaler(self, request, context):
        self.fake.service(request.service)
        policy, next_run_s = _document(request.policy_json, "cronScaler"), self.fake.scaling.next_run_s
        jobs = [
            pb.CronJob(
                name=job["Name"],
                schedule=job["Schedule"],
                target_size=job["TargetSize"],
                time_zone=job.get("TimeZone", ""),
                state="Submitted",
                next_run_at=None if next_run_s is None else at(next_run_s),
            )
            for job in policy.get("ScaleJobs", [])
        ]
        found = pb.Cronscaler(service=request.service, policy_json=json.dumps(policy), revision=1, jobs=jobs)
        self.fake.scaling.cronscalers[request.service] = found
        return pb.SetCronscalerResponse(cronscaler=found)

    async def GetCronscaler(self, request, context):
        return pb.GetCronscalerResponse(cronscaler=self._cronscaler(request.service))

    async def ListCronscalers(self, request, context):
        found, token = self.page(list(self.fake.scaling.cronscalers.values()), request)
        return pb.ListCronscalersResponse(cronscalers=found, next_page_token=token)

    async def DeleteCronscaler(self, request, context):
        del self.fake.scaling.cronscalers[self._cronscaler(request.service).service]
        return pb.DeleteCronscalerResponse()

    async def ListScalings(self, request, context):
        self.fake.service(request.service)
        mine = [each for each in self.fake.scaling.scalings if each.service == request.service]
        found, token = self.page(mine, request)
        return pb.ListScalingsResponse(scalings=found, next_page_token=token)

    def _autoscaler(self, service: str) -> pb.Autoscaler:
        if service not in self.fake.scaling.autoscalers:
            raise NotFound(f"service {self.fake.service(service).name} has no autoscaler")
        return self.fake.scaling.autoscalers[service]

    def _cronscaler(self, service: str) -> pb.Cronscaler:
        if service not in self.fake.scaling.cronscalers:
            raise NotFound(f"service {self.fake.service(service).name} has no schedule")
        return self.fake.scaling.cronscalers[service]


class Replays(Servicer, autoscaler_pb2_grpc.ReplayServiceServicer):
    async def Replay(self, request, context):
        self.fake.scaling.replays.append(request)
        return self.fake.scaling.replayed


class Capacity(Servicer, rpc.CapacityServiceServicer):
    async def GetCapacity(self, request, context):
        self.fake.scaling.asked.append(request)
        wanted = [
            each for each in self.fake.scaling.capacity if request.resource_group in ("", each.resource_group)
        ]
        return pb.GetCapacityResponse(groups=wanted)


class Usage(Servicer, rpc.UsageServiceServicer):
    async def GetUsage(self, request, context):
        self.fake.scaling.asked.append(request)
        return self.fake.scaling.usage


def _document(text: str, path: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise InvalidSpec(path, text[:40], "a JSON object") from error
    if not isinstance(found, dict):
        raise InvalidSpec(path, found, "a JSON object")
    inner = found.get(path, found)
    return inner if isinstance(inner, dict) else found
