"""What services have used, on the wire."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import grpc

from easel.admin.v1 import scaling_pb2 as pb
from easel.admin.v1 import scaling_pb2_grpc
from libs.db.store import Store
from libs.domain.errors import InvalidRequest
from libs.rpc.convert import time_from_proto, time_to_proto
from services.scheduler.usage.metering import open_usage
from services.scheduler.usage.sums import keys_of, sums
from services.scheduler.world import World

Context = grpc.aio.ServicerContext[Any, Any]


class UsageServicer(scaling_pb2_grpc.UsageServiceServicer):
    """Adds up the stays that have ended, from the store, and those under way, from the picture."""

    def __init__(self, world: World, store: Store, clock: Callable[[], datetime], kept: timedelta) -> None:
        self._world, self._store, self._clock, self._kept = world, store, clock, kept

    async def GetUsage(self, request: pb.GetUsageRequest, context: Context) -> pb.GetUsageResponse:
        now = self._clock()
        kept_since = now - self._kept
        end = min(time_from_proto(request, "end") or now, now)
        begin = time_from_proto(request, "begin") or kept_since
        if begin > end:
            raise InvalidRequest("begin", begin.isoformat(), f"a time before the end, {end.isoformat()}")
        by = keys_of(request.by)
        # First those under way: what ends meanwhile is then in both, and told apart by its key.
        under_way = {
            (each.instance, each.begin): each for each in open_usage(self._world, end, request.service)
        }
        ended = await self._store.usage(begin, end, service=request.service)
        rows = {**under_way, **{(each.instance, each.begin): each for each in ended}}
        response = pb.GetUsageResponse(kept_since=time_to_proto(kept_since))
        for values, total in sums(rows.values(), begin, end, by).items():
            response.sums.add(
                **dict(zip(by, values, strict=True)),
                instance_ms=total.instance_ms,
                gpu_ms=total.gpu_ms,
                cpu_milli_ms=total.cpu_milli_ms,
                memory_mib_ms=total.memory_mib_ms,
                cost=total.cost,
            )
        return response
