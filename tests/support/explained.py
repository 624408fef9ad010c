"""What a real gateway says of a request when its scheduler asks."""

from easel.common.v1 import common_pb2
from easel.gateway.v1 import gateway_pb2 as pb
from tests.support.gateway_harness import Harness, bearer
from tests.support.waiting import until


async def explained(gateway: Harness, **more: str) -> common_pb2.RouteExplanation:
    """What the gateway says of a request to the service that it serves."""
    scheduler = gateway.scheduler
    known = len(scheduler.heard.get("explained", ()))
    asked = pb.ExplainRoute(id="1", host="x", path="/api/predict/svc", headers=bearer(), **more)
    scheduler.ask(pb.ConnectResponse(explain=asked))
    await until(lambda: len(scheduler.heard.get("explained", ())) > known, "the answer")
    return scheduler.heard["explained"][-1].explanation
