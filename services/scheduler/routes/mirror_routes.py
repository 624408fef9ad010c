"""The mirrors of a service as gateways need them. Pure."""

from easel.gateway.v1 import gateway_pb2
from libs.domain.records import Service
from services.scheduler.world import World


def mirrors_of(world: World, service: Service) -> list[gateway_pb2.Mirror]:
    """None yet."""
    return []
