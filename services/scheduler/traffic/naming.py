"""Says the names of tokens where gateways, which know no others, say ids. Pure."""

from easel.common.v1 import common_pb2
from libs.domain.errors import NotFound
from services.scheduler.access.rules import token_by_id
from services.scheduler.world import World


def with_token_named(world: World, found: common_pb2.RouteExplanation) -> common_pb2.RouteExplanation:
    """The same explanation with the token's name; one that is gone meanwhile keeps its id."""
    if not found.token:
        return found
    try:
        token = token_by_id(world, found.token)
    except NotFound:
        return found
    named = common_pb2.RouteExplanation()
    named.CopyFrom(found)
    named.token = token.name
    shown = f"{token.name!r} of {token.owner_kind} {token.owner}"
    named.steps[:] = [
        step.replace(f"the token {found.token!r}", f"the token {shown}") for step in found.steps
    ]
    return named
