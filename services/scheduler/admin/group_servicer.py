"""Groups, releases and ramps on the wire."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

import grpc

from easel.admin.v1 import admin_pb2, admin_pb2_grpc
from libs.domain.records import Service
from libs.domain.states import TrafficMode
from libs.domain.traffic import Group, Ramp
from services.scheduler.admin.group_views import (
    change_from_proto,
    group_view,
    mode_from_proto,
    ramp_from_proto,
    ramp_to_proto,
    state_from_proto,
)
from services.scheduler.admin.views import ServiceViews
from services.scheduler.groups import rules
from services.scheduler.ledger import Ledger
from services.scheduler.paging import page
from services.scheduler.ramp.begin import started
from services.scheduler.ramp.moves import ended

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class GroupServicer(admin_pb2_grpc.GroupServiceServicer):
    """Translates; what happens is in `groups/rules.py` and the room of ramps."""

    def __init__(
        self,
        ledger: Ledger,
        views: ServiceViews,
        said: Callable[[Ramp], str],
        clock: Callable[[], datetime],
    ) -> None:
        """`said` is the newest sentence about a ramp."""
        self._ledger, self._world, self._views = ledger, ledger.world, views
        self._said, self._clock = said, clock

    async def CreateGroup(
        self, request: admin_pb2.CreateGroupRequest, context: Context
    ) -> admin_pb2.CreateGroupResponse:
        mode = mode_from_proto(request.traffic_mode) or TrafficMode.AUTO
        labels = dict(request.labels)
        await self._ledger.change(
            lambda world: rules.created(world, request.name, mode, labels, request.gateway, self._clock())
        )
        return admin_pb2.CreateGroupResponse(group=self._view(self._world.group(request.name)))

    async def GetGroup(
        self, request: admin_pb2.GetGroupRequest, context: Context
    ) -> admin_pb2.GetGroupResponse:
        return admin_pb2.GetGroupResponse(group=self._view(self._world.group(request.name)))

    async def ListGroups(
        self, request: admin_pb2.ListGroupsRequest, context: Context
    ) -> admin_pb2.ListGroupsResponse:
        labels = request.labels.items()
        matching = (
            group
            for group in self._world.groups.values()
            if request.filter in group.name and labels <= group.labels.items()
        )
        shown, more = page(matching, lambda group: group.name, request.page_size, request.page_token)
        return admin_pb2.ListGroupsResponse(
            groups=[self._view(group) for group in shown], next_page_token=more
        )

    async def UpdateGroup(
        self, request: admin_pb2.UpdateGroupRequest, context: Context
    ) -> admin_pb2.UpdateGroupResponse:
        change = change_from_proto(request)
        await self._ledger.change(lambda world: rules.updated(world, request.name, change, self._clock()))
        return admin_pb2.UpdateGroupResponse(group=self._view(self._world.group(request.name)))

    async def DeleteGroup(
        self, request: admin_pb2.DeleteGroupRequest, context: Context
    ) -> admin_pb2.DeleteGroupResponse:
        told = await self._ledger.change(
            lambda world: rules.group_deleted(world, request.name, request.cascade, self._clock())
        )
        members = sorted(record.name for record in told.put if isinstance(record, Service))
        return admin_pb2.DeleteGroupResponse(deleted_services=members)

    async def ReleaseService(
        self, request: admin_pb2.ReleaseServiceRequest, context: Context
    ) -> admin_pb2.ReleaseServiceResponse:
        state = state_from_proto(request.traffic_state)
        weight = request.weight if request.HasField("weight") else None
        await self._ledger.change(
            lambda world: rules.released(world, request.name, state, weight, self._clock())
        )
        return admin_pb2.ReleaseServiceResponse(service=self._views.of(self._world.service(request.name)))

    async def StartRamp(
        self, request: admin_pb2.StartRampRequest, context: Context
    ) -> admin_pb2.StartRampResponse:
        asked = ramp_from_proto(request.plan)
        await self._ledger.change(lambda world: started(world, request.name, asked, self._clock()))
        return admin_pb2.StartRampResponse(ramp=self._ramp(request.name))

    async def EndRamp(self, request: admin_pb2.EndRampRequest, context: Context) -> admin_pb2.EndRampResponse:
        await self._ledger.change(lambda world: ended(world, request.name, request.back, self._clock()))
        return admin_pb2.EndRampResponse(ramp=self._ramp(request.name))

    def _ramp(self, service: str) -> admin_pb2.Ramp:
        ramp = self._world.ramps[service]
        return ramp_to_proto(ramp, self._said(ramp))

    def _view(self, group: Group) -> admin_pb2.Group:
        return group_view(self._world, group, self._views.url_of(group.gateway), self._said)
