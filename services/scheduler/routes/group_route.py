"""A group as gateways need it. Pure."""

from easel.gateway.v1 import gateway_pb2
from libs.domain.traffic import Group
from services.scheduler.world import World


def group_route_of(world: World, group: Group) -> gateway_pb2.GroupRoute:
    """The group's token alone."""
    return gateway_pb2.GroupRoute(name=group.name, tokens=[group.token], token_ids=[f"group:{group.name}"])
