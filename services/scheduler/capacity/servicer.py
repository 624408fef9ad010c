"""What fits where, on the wire."""

from typing import Any, TypeAlias

import grpc

from easel.admin.v1 import scaling_pb2 as pb
from easel.admin.v1 import scaling_pb2_grpc
from libs.domain.errors import InvalidRequest
from libs.domain.records import Instance, Resources
from libs.domain.states import LIVE_STATES
from libs.rpc.convert import resources_from_proto, resources_to_proto
from services.scheduler.admin.views import group_view
from services.scheduler.capacity.measure import Fits, of_shape, of_tiers
from services.scheduler.facts import facts_of
from services.scheduler.placement import Ask
from services.scheduler.reconcile.placing import Placer, ask_for
from services.scheduler.world import World

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class CapacityServicer(scaling_pb2_grpc.CapacityServiceServicer):
    def __init__(self, world: World, placer: Placer) -> None:
        self._world, self._placer = world, placer

    async def GetCapacity(self, request: pb.GetCapacityRequest, context: Context) -> pb.GetCapacityResponse:
        if request.service and request.HasField("shape"):
            raise InvalidRequest("shape", request.service, "a service or a shape, not both")
        group = request.resource_group
        if group:
            self._world.resource_group(group)
        found = self._of_service(request.service) if request.service else self._of_shape(request.shape, group)
        shown = (each for each in found if group in ("", each.ask.resource_group))
        return pb.GetCapacityResponse(groups=[self._view(each) for each in shown])

    def _of_shape(self, shape: pb.Shape, group: str) -> list[Fits]:
        """Raises InvalidRequest for a shape that asks for nothing, of which any number fits."""
        wanted = resources_from_proto(shape.resources)
        if wanted == Resources():
            raise InvalidRequest("shape.resources", "nothing", "CPU, memory, disk or GPUs of one instance")
        ask = Ask(
            instance="",
            service="",
            cpu_milli=wanted.cpu_milli,
            memory_mib=wanted.memory_mib,
            disk_mib=wanted.disk_mib,
            gpus=wanted.gpus,
            gpu_model=shape.gpu_model,
            instance_type=shape.instance_type,
        )
        groups = [group] if group else sorted(self._world.resource_groups)
        return of_shape(ask, groups, self._placer.snapshot)

    def _of_service(self, name: str) -> list[Fits]:
        """Raises NotFound, and InvalidSpec when its version cannot be read any more."""
        service = self._world.service(name)
        facts = facts_of(self._world.version(name, service.version).spec_json)
        one = Instance("", name, service.version, service.created_at, resources=facts.resources)
        tiers = self._placer.tiers(facts)
        asks = [ask_for(one, facts, tier, only=len(tiers) == 1) for tier in tiers]
        there = (i for i in self._world.instances_of(name) if i.node and i.state in LIVE_STATES)
        nodes = (self._world.nodes.get(i.node) for i in there)
        return of_tiers(tiers, asks, nodes, service.wanted, self._placer.snapshot)

    def _view(self, found: Fits) -> pb.GroupCapacity:
        ask = found.ask
        group = self._world.resource_groups.get(ask.resource_group)
        whole = group_view(self._world, group) if group is not None else None
        return pb.GroupCapacity(
            resource_group=ask.resource_group,
            kind=group.kind if group is not None else "",
            tier=found.tier,
            shape=pb.Shape(
                resources=resources_to_proto(
                    Resources(ask.cpu_milli, ask.memory_mib, ask.disk_mib, ask.gpus)
                ),
                gpu_model=ask.gpu_model,
                instance_type=ask.instance_type,
            ),
            capacity=whole.capacity if whole is not None else None,
            allocated=whole.allocated if whole is not None else None,
            nodes=len(found.on),
            fits=found.fits,
            reasons=found.reasons,
            on=[pb.NodeCapacity(node=each.node, fits=each.fits, why=each.why) for each in found.on],
        )
