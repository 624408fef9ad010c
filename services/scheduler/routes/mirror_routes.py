"""The mirrors of a service as gateways need them. Pure."""

from easel.gateway.v1 import gateway_pb2
from libs.domain.records import Service
from libs.domain.traffic import Mirror
from services.scheduler.routes.in_force import facts_in_force
from services.scheduler.world import World


def mirrors_of(world: World, service: Service) -> list[gateway_pb2.Mirror]:
    """Each target, as they were named, with the ready instances of its newest version that has any."""
    mirror = world.mirrors.get(service.name)
    if mirror is None:
        return []
    named = (world.services.get(name) for name in mirror.targets)
    return [_target(world, mirror, target) for target in named if target is not None]


def _target(world: World, mirror: Mirror, target: Service) -> gateway_pb2.Mirror:
    facts = facts_in_force(world, target)
    ready = sorted((i for i in world.instances_of(target.name) if i.routed), key=lambda i: i.id)
    newest = max((i.version for i in ready), default=0)
    return gateway_pb2.Mirror(
        service=target.name,
        endpoints=[
            gateway_pb2.Endpoint(instance=i.id, address=i.address, port=i.port, node=i.node)
            for i in ready
            if i.version == newest
        ],
        ratio=mirror.ratio,
        grpc=facts.grpc,
        keep_path=facts.keep_path,
        keepalive_ms=round(facts.keepalive.total_seconds() * 1000),
        compare_ppm=mirror.compare_ppm,
    )
