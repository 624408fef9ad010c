"""What fits and what was used, over the admin API."""

from collections.abc import Sequence
from datetime import datetime

from easel.admin.v1 import scaling_pb2 as pb
from easel.admin.v1 import scaling_pb2_grpc as rpc
from easel_sdk import _convert_scaling as convert
from easel_sdk._wire import Wire
from easel_sdk.scaling_types import GroupCapacity, Shape, Usage


class AsyncCapacity:
    """How many more instances fit."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._stub = rpc.CapacityServiceStub(wire.channel)

    async def get(
        self, *, service: str = "", shape: Shape | None = None, resource_group: str = ""
    ) -> tuple[GroupCapacity, ...]:
        """For instances of `service`, or of a `shape`, in each resource group or the one that is named."""
        request = pb.GetCapacityRequest(
            service=service, shape=convert.shape_to_proto(shape), resource_group=resource_group
        )
        answer = await self._wire.call(self._stub.GetCapacity, request, repeatable=True)
        return tuple(convert.group_capacity(each) for each in answer.groups)


class AsyncUsage:
    """What instances held, and for how long."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._stub = rpc.UsageServiceStub(wire.channel)

    async def get(
        self, begin: datetime, end: datetime, *, by: Sequence[str] = (), service: str = ""
    ) -> Usage:
        """From `begin` up to and without `end`, added up by all of "service", "resource_group",
        "instance_type", "workspace" and "pool", or by those that are named."""
        request = pb.GetUsageRequest(by=by, service=service)
        request.begin.FromDatetime(begin)
        request.end.FromDatetime(end)
        answer = await self._wire.call(self._stub.GetUsage, request, repeatable=True)
        return convert.usage(answer, begin, end)
