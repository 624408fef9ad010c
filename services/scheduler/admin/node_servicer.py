"""Nodes and resource groups on the wire."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import grpc

from easel.admin.v1 import admin_pb2, admin_pb2_grpc
from libs.db.changes import Changes
from libs.domain.records import Node
from libs.domain.states import LIVE_STATES
from libs.rpc.convert import span_from_proto
from services.scheduler.admin import nodes
from services.scheduler.admin.views import group_view, node_view
from services.scheduler.agents.sessions import Sessions
from services.scheduler.gpus.fences import fenced_by_hand, lifted
from services.scheduler.ledger import Ledger
from services.scheduler.paging import page
from services.scheduler.pool import reclaim
from services.scheduler.pool.leaving import Leaving, leaving
from services.scheduler.reconcile.placing import Placer
from services.scheduler.world import World

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class NodeServicer(admin_pb2_grpc.NodeServiceServicer):
    def __init__(
        self, ledger: Ledger, placer: Placer, sessions: Sessions, clock: Callable[[], datetime]
    ) -> None:
        self._ledger, self._world, self._placer = ledger, ledger.world, placer
        self._sessions, self._clock = sessions, clock

    async def ListNodes(
        self, request: admin_pb2.ListNodesRequest, context: Context
    ) -> admin_pb2.ListNodesResponse:
        group = request.resource_group
        matching = (n for n in self._world.nodes.values() if group in ("", n.resource_group))
        shown, more = page(matching, lambda n: n.name, request.page_size, request.page_token)
        return admin_pb2.ListNodesResponse(nodes=[self._view(node) for node in shown], next_page_token=more)

    async def GetNode(self, request: admin_pb2.GetNodeRequest, context: Context) -> admin_pb2.GetNodeResponse:
        return admin_pb2.GetNodeResponse(node=self._now(request.name))

    async def UpdateNode(
        self, request: admin_pb2.UpdateNodeRequest, context: Context
    ) -> admin_pb2.UpdateNodeResponse:
        group = request.resource_group if request.HasField("resource_group") else None
        labels = dict(request.labels)
        await self._ledger.change(
            lambda world: nodes.updated(world, request.name, group, labels, self._clock())
        )
        return admin_pb2.UpdateNodeResponse(node=self._now(request.name))

    async def DeleteNode(
        self, request: admin_pb2.DeleteNodeRequest, context: Context
    ) -> admin_pb2.DeleteNodeResponse:
        linked = self._sessions.linked
        await self._ledger.change(lambda world: nodes.deleted(world, request.name, linked, self._clock()))
        return admin_pb2.DeleteNodeResponse()

    async def CordonNode(
        self, request: admin_pb2.CordonNodeRequest, context: Context
    ) -> admin_pb2.CordonNodeResponse:
        await self._ledger.change(
            lambda world: nodes.cordoned(world, request.name, request.why, self._clock())
        )
        return admin_pb2.CordonNodeResponse(node=self._now(request.name))

    async def UncordonNode(
        self, request: admin_pb2.UncordonNodeRequest, context: Context
    ) -> admin_pb2.UncordonNodeResponse:
        await self._ledger.change(lambda world: nodes.uncordoned(world, request.name, self._clock()))
        return admin_pb2.UncordonNodeResponse(node=self._now(request.name))

    async def DrainNode(
        self, request: admin_pb2.DrainNodeRequest, context: Context
    ) -> admin_pb2.DrainNodeResponse:
        await self._ledger.change(
            lambda world: nodes.drained(world, request.name, request.why, self._clock())
        )
        moving = sum(i.state in LIVE_STATES for i in self._world.instances_on(request.name))
        return admin_pb2.DrainNodeResponse(node=self._now(request.name), moving=moving)

    async def ReclaimNode(
        self, request: admin_pb2.ReclaimNodeRequest, context: Context
    ) -> admin_pb2.ReclaimNodeResponse:
        notice = (None if request.cancel else span_from_proto(request, "notice")) or timedelta()
        ask = reclaim.Announcement(request.name, notice, request.why, request.force, request.cancel)
        told: list[Leaving] = []
        await self._ledger.change(lambda world: self._announced(world, ask, told))
        return admin_pb2.ReclaimNodeResponse(
            node=self._now(request.name),
            moving=told[-1].moving,
            room=told[-1].room,
            hurried=told[-1].hurried,
        )

    def _announced(self, world: World, ask: reclaim.Announcement, told: list[Leaving]) -> Changes:
        """The changes; what they mean for the instances there is added to `told`."""
        now = self._clock()
        changes = reclaim.asked(world, ask, now)
        told.append(leaving(world, self._placer, ask.node, now + ask.notice, now))
        return changes

    async def FenceGpu(
        self, request: admin_pb2.FenceGpuRequest, context: Context
    ) -> admin_pb2.FenceGpuResponse:
        await self._ledger.change(
            lambda world: fenced_by_hand(world, request.node, request.uuid, request.why, self._clock())
        )
        return admin_pb2.FenceGpuResponse(node=self._now(request.node))

    async def LiftGpuFence(
        self, request: admin_pb2.LiftGpuFenceRequest, context: Context
    ) -> admin_pb2.LiftGpuFenceResponse:
        await self._ledger.change(lambda world: lifted(world, request.node, request.uuid, self._clock()))
        return admin_pb2.LiftGpuFenceResponse(node=self._now(request.node))

    async def ListResourceGroups(
        self, request: admin_pb2.ListResourceGroupsRequest, context: Context
    ) -> admin_pb2.ListResourceGroupsResponse:
        groups = self._world.resource_groups.values()
        shown, more = page(groups, lambda g: g.name, request.page_size, request.page_token)
        return admin_pb2.ListResourceGroupsResponse(
            resource_groups=[group_view(self._world, g) for g in shown], next_page_token=more
        )

    async def GetResourceGroup(
        self, request: admin_pb2.GetResourceGroupRequest, context: Context
    ) -> admin_pb2.GetResourceGroupResponse:
        return admin_pb2.GetResourceGroupResponse(resource_group=self._group(request.name))

    async def CreateResourceGroup(
        self, request: admin_pb2.CreateResourceGroupRequest, context: Context
    ) -> admin_pb2.CreateResourceGroupResponse:
        await self._ledger.change(
            lambda world: nodes.group_created(world, request.name, request.kind, self._clock())
        )
        return admin_pb2.CreateResourceGroupResponse(resource_group=self._group(request.name))

    async def UpdateResourceGroup(
        self, request: admin_pb2.UpdateResourceGroupRequest, context: Context
    ) -> admin_pb2.UpdateResourceGroupResponse:
        await self._ledger.change(lambda world: nodes.group_updated(world, request.name, request.kind))
        return admin_pb2.UpdateResourceGroupResponse(resource_group=self._group(request.name))

    async def DeleteResourceGroup(
        self, request: admin_pb2.DeleteResourceGroupRequest, context: Context
    ) -> admin_pb2.DeleteResourceGroupResponse:
        await self._ledger.change(lambda world: nodes.group_deleted(world, request.name))
        return admin_pb2.DeleteResourceGroupResponse()

    def _now(self, name: str) -> admin_pb2.Node:
        return self._view(self._world.node(name))

    def _view(self, node: Node) -> admin_pb2.Node:
        return node_view(self._world, node, self._sessions.last_seen.get)

    def _group(self, name: str) -> admin_pb2.ResourceGroup:
        return group_view(self._world, self._world.resource_group(name))
