"""What services have used, on the wire."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from typing import Any

import grpc

from easel.admin.v1 import scaling_pb2 as pb
from easel.admin.v1 import scaling_pb2_grpc
from libs.db.store import Store
from libs.domain.errors import InvalidRequest
from libs.domain.scaling import Usage
from libs.rpc.convert import time_from_proto, time_to_proto
from services.scheduler.usage.metering import open_usage
from services.scheduler.usage.sums import Sums, keys_of
from services.scheduler.world import World

# Stays that are read at once.
_PAGE = 5_000

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
        total = Sums(begin, end, by)
        # First those under way: what ends meanwhile is then in both, and told apart by its key.
        under_way = {
            (each.instance, each.begin): each for each in open_usage(self._world, end, request.service)
        }
        async for page in self._ended(begin, end, request.service):
            total.add(each for each in page if (each.instance, each.begin) not in under_way)
        total.add(under_way.values())
        response = pb.GetUsageResponse(kept_since=time_to_proto(kept_since))
        for values, held in total.found.items():
            response.sums.add(
                **dict(zip(by, values, strict=True)),
                instance_ms=held.instance_ms,
                gpu_ms=held.gpu_ms,
                cpu_milli_ms=held.cpu_milli_ms,
                memory_mib_ms=held.memory_mib_ms,
                cost=held.cost,
            )
        return response

    async def _ended(self, begin: datetime, end: datetime, service: str) -> AsyncIterator[tuple[Usage, ...]]:
        """A page after the other: a year of many services need not fit in memory, nor hold others up."""
        page = await self._store.usage(begin, end, service=service, limit=_PAGE)
        while page:
            yield page
            if len(page) < _PAGE:
                return
            page = await self._store.usage(begin, end, service=service, after=page[-1], limit=_PAGE)
