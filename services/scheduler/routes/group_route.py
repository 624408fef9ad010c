"""A group as gateways need it. Pure."""

from easel.gateway.v1 import gateway_pb2
from libs.domain.traffic import Group
from services.scheduler.access.rules import Owner, tokens_of
from services.scheduler.groups.picture import weights_now
from services.scheduler.world import World


def group_route_of(world: World, group: Group) -> gateway_pb2.GroupRoute:
    """Its tokens, the members that take its requests with their weights, and how requests choose among them.

    A member that only rules send requests to is in it with weight 0.
    """
    tokens = tokens_of(world, Owner("group", group.name))
    members = {member.name for member in world.members_of(group.name)}
    rules = [rule for rule in group.rules if rule.service in members]
    weights = dict.fromkeys((rule.service for rule in rules), 0)
    weights |= weights_now(world, group)
    return gateway_pb2.GroupRoute(
        name=group.name,
        tokens=[token.value for token in tokens],
        token_ids=[token.id for token in tokens],
        members=[
            gateway_pb2.GroupMember(service=name, weight=weight) for name, weight in sorted(weights.items())
        ],
        rules=[
            gateway_pb2.MemberRule(
                service=rule.service, header=rule.header, cookie=rule.cookie, value=rule.value
            )
            for rule in rules
        ],
        sticky_header=group.sticky_header,
        sticky_cookie=group.sticky_cookie,
    )
