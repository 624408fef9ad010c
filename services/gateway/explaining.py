"""Answers the scheduler's question what would become of a request."""

from easel.common.v1 import common_pb2
from easel.gateway.v1 import gateway_pb2 as pb
from services.gateway.publisher import Publisher
from services.gateway.routing.explain import Explanation, explain
from services.gateway.routing.request import Request


def explained(publisher: Publisher, gateway: str, question: pb.ExplainRoute) -> common_pb2.RouteExplanation:
    """What the routes now in force would do. Tokens are named by their ids, never shown."""
    request = Request(
        question.method or "GET",
        question.host,
        question.path or "/",
        {name.lower(): value for name, value in question.headers.items()},
        question.from_address,
        question.scheme,
    )
    found = _to_proto(explain(request, publisher.world))
    found.gateway, found.generation, found.envoys = gateway, publisher.generation, len(publisher.envoys)
    return found


def _to_proto(found: Explanation) -> common_pb2.RouteExplanation:
    return common_pb2.RouteExplanation(
        status=found.status,
        why=found.why,
        steps=found.steps,
        group=found.group,
        service=found.service,
        token=found.token,
        targets=[
            common_pb2.RouteTarget(
                service=each.service,
                version=each.backend.version,
                share=each.share,
                endpoints=[f"{place.address}:{place.port}" for place in each.backend.endpoints],
            )
            for each in found.targets
        ],
        limits=found.limits,
        mirrors=found.mirrors,
        path=found.path,
    )
