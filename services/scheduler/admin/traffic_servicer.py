"""Mirrors, what becomes of requests, and links to pages, on the wire."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

import grpc

from easel.admin.v1 import admin_pb2, admin_pb2_grpc
from libs.domain.traffic import Mirror
from libs.rpc.convert import span_from_proto, time_to_proto
from services.scheduler.access.opening import WebLinks
from services.scheduler.ledger import Ledger
from services.scheduler.mirrors import rules
from services.scheduler.mirrors.comparisons import Comparisons
from services.scheduler.mirrors.notes import notes_of
from services.scheduler.paging import page
from services.scheduler.traffic.asking import Asking

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class TrafficServicer(admin_pb2_grpc.TrafficServiceServicer):
    def __init__(
        self,
        ledger: Ledger,
        comparisons: Comparisons,
        asking: Asking,
        links: WebLinks,
        clock: Callable[[], datetime],
    ) -> None:
        self._ledger, self._world, self._clock = ledger, ledger.world, clock
        self._comparisons, self._asking, self._links = comparisons, asking, links

    async def PutMirror(
        self, request: admin_pb2.PutMirrorRequest, context: Context
    ) -> admin_pb2.PutMirrorResponse:
        asked = rules.MirrorAsked(request.service, tuple(request.targets), request.ratio, request.compare)
        await self._ledger.change(lambda world: rules.put(world, asked, self._clock()))
        return admin_pb2.PutMirrorResponse(mirror=self._view(rules.mirror_of(self._world, request.service)))

    async def GetMirror(
        self, request: admin_pb2.GetMirrorRequest, context: Context
    ) -> admin_pb2.GetMirrorResponse:
        return admin_pb2.GetMirrorResponse(mirror=self._view(rules.mirror_of(self._world, request.service)))

    async def ListMirrors(
        self, request: admin_pb2.ListMirrorsRequest, context: Context
    ) -> admin_pb2.ListMirrorsResponse:
        mirrors = self._world.mirrors.values()
        shown, more = page(mirrors, lambda m: m.service, request.page_size, request.page_token)
        return admin_pb2.ListMirrorsResponse(mirrors=[self._view(m) for m in shown], next_page_token=more)

    async def DeleteMirror(
        self, request: admin_pb2.DeleteMirrorRequest, context: Context
    ) -> admin_pb2.DeleteMirrorResponse:
        await self._ledger.change(lambda world: rules.deleted(world, request.service, self._clock()))
        return admin_pb2.DeleteMirrorResponse()

    async def ExplainRoute(
        self, request: admin_pb2.ExplainRouteRequest, context: Context
    ) -> admin_pb2.ExplainRouteResponse:
        explanation = await self._asking.explain(
            request.url, request.method, dict(request.headers), request.with_token, request.from_address
        )
        return admin_pb2.ExplainRouteResponse(explanation=explanation)

    async def GetTraffic(
        self, request: admin_pb2.GetTrafficRequest, context: Context
    ) -> admin_pb2.GetTrafficResponse:
        versions, notes = await self._asking.counted(request.service)
        return admin_pb2.GetTrafficResponse(versions=versions, notes=notes)

    async def CreateWebLink(
        self, request: admin_pb2.CreateWebLinkRequest, context: Context
    ) -> admin_pb2.CreateWebLinkResponse:
        valid_for = span_from_proto(request, "valid_for")
        url, expires_at = self._links.made(request.service, valid_for, request.by_host)
        return admin_pb2.CreateWebLinkResponse(url=url, expires_at=time_to_proto(expires_at))

    def _view(self, mirror: Mirror) -> admin_pb2.Mirror:
        return admin_pb2.Mirror(
            service=mirror.service,
            targets=mirror.targets,
            ratio=mirror.ratio,
            compare=mirror.compare_ppm / 1_000_000,
            created_at=time_to_proto(mirror.created_at),
            updated_at=time_to_proto(mirror.updated_at),
            comparisons=self._comparisons.of(mirror.service, mirror.targets),
            notes=notes_of(self._world, mirror),
        )
