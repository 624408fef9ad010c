"""Nodes and resource groups over the admin API."""

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta

from easel.admin.v1 import admin_pb2 as pb
from easel.admin.v1 import admin_pb2_grpc as rpc
from easel_sdk import _convert as convert
from easel_sdk._wire import Wire, pages
from easel_sdk.types import Draining, Going, Node, ResourceGroup

_PAGE = 200


class AsyncNodes:
    """The hosts that instances run on."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._stub = rpc.NodeServiceStub(wire.channel)

    async def get(self, name: str) -> Node:
        answer = await self._wire.call(self._stub.GetNode, pb.GetNodeRequest(name=name), repeatable=True)
        return convert.node(answer.node)

    async def update(
        self, name: str, *, resource_group: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Node:
        """Moves the node to another resource group, and sets labels; an empty value removes one."""
        request = pb.UpdateNodeRequest(name=name, resource_group=resource_group, labels=labels or {})
        answer = await self._wire.call(self._stub.UpdateNode, request)
        return convert.node(answer.node)

    async def delete(self, name: str) -> None:
        """Forgets a node that is lost or empty. It may join again."""
        await self._wire.call(self._stub.DeleteNode, pb.DeleteNodeRequest(name=name))

    async def cordon(self, name: str, *, why: str = "") -> Node:
        """Places nothing more on the node; what runs there stays."""
        answer = await self._wire.call(self._stub.CordonNode, pb.CordonNodeRequest(name=name, why=why))
        return convert.node(answer.node)

    async def uncordon(self, name: str) -> Node:
        answer = await self._wire.call(self._stub.UncordonNode, pb.UncordonNodeRequest(name=name))
        return convert.node(answer.node)

    async def drain(self, name: str, *, why: str = "") -> Draining:
        """Cordons the node and moves its instances elsewhere, replacements first."""
        answer = await self._wire.call(self._stub.DrainNode, pb.DrainNodeRequest(name=name, why=why))
        return Draining(convert.node(answer.node), answer.moving)

    async def reclaim(self, name: str, notice: timedelta, *, why: str = "", force: bool = False) -> Going:
        """Announces that the node is taken away after `notice`: its instances are replaced before.

        Within the first hour of an instance on a spot node that is refused, unless forced; and of another
        node where its instances have no time to end their requests.
        """
        request = pb.ReclaimNodeRequest(name=name, why=why, force=force)
        request.notice.FromTimedelta(notice)
        answer = await self._wire.call(self._stub.ReclaimNode, request)
        return Going(convert.node(answer.node), answer.moving, answer.room, answer.hurried)

    async def keep(self, name: str) -> Node:
        """Takes back that the node is taken away."""
        request = pb.ReclaimNodeRequest(name=name, cancel=True)
        return convert.node((await self._wire.call(self._stub.ReclaimNode, request)).node)

    async def fence_gpu(self, name: str, uuid: str, *, why: str = "") -> Node:
        """Places nothing more on the GPU; the instances on it are replaced, successors first."""
        request = pb.FenceGpuRequest(node=name, uuid=uuid, why=why)
        return convert.node((await self._wire.call(self._stub.FenceGpu, request)).node)

    async def lift_gpu_fence(self, name: str, uuid: str) -> Node:
        """Lets instances be placed on the GPU again. It is fenced anew when it fails again."""
        request = pb.LiftGpuFenceRequest(node=name, uuid=uuid)
        return convert.node((await self._wire.call(self._stub.LiftGpuFence, request)).node)

    async def list(self, *, resource_group: str = "") -> AsyncIterator[Node]:
        async def page(token: str) -> tuple[list[Node], str]:
            request = pb.ListNodesRequest(resource_group=resource_group, page_size=_PAGE, page_token=token)
            answer = await self._wire.call(self._stub.ListNodes, request, repeatable=True)
            return [convert.node(each) for each in answer.nodes], answer.next_page_token

        async for node in pages(page):
            yield node


class AsyncResourceGroups:
    """Sets of nodes; a node is in exactly one."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._stub = rpc.NodeServiceStub(wire.channel)

    async def get(self, name: str) -> ResourceGroup:
        request = pb.GetResourceGroupRequest(name=name)
        answer = await self._wire.call(self._stub.GetResourceGroup, request, repeatable=True)
        return convert.resource_group(answer.resource_group)

    async def create(self, name: str, *, kind: str = "dedicated") -> ResourceGroup:
        request = pb.CreateResourceGroupRequest(name=name, kind=kind)
        answer = await self._wire.call(self._stub.CreateResourceGroup, request)
        return convert.resource_group(answer.resource_group)

    async def update(self, name: str, *, kind: str) -> ResourceGroup:
        request = pb.UpdateResourceGroupRequest(name=name, kind=kind)
        answer = await self._wire.call(self._stub.UpdateResourceGroup, request)
        return convert.resource_group(answer.resource_group)

    async def delete(self, name: str) -> None:
        await self._wire.call(self._stub.DeleteResourceGroup, pb.DeleteResourceGroupRequest(name=name))

    async def list(self) -> AsyncIterator[ResourceGroup]:
        async def page(token: str) -> tuple[list[ResourceGroup], str]:
            request = pb.ListResourceGroupsRequest(page_size=_PAGE, page_token=token)
            answer = await self._wire.call(self._stub.ListResourceGroups, request, repeatable=True)
            return [convert.resource_group(each) for each in answer.resource_groups], answer.next_page_token

        async for group in pages(page):
            yield group
