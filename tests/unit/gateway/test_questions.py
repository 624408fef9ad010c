"""What a gateway makes of what the scheduler asks."""

import asyncio

from easel.common.v1 import common_pb2
from easel.gateway.v1 import gateway_pb2 as pb
from services.gateway.outbox import Outbox
from services.gateway.questions import Questions
from services.gateway.statistics.envoy_stats import NoStatistics
from services.gateway.statistics.traffic_reports import TrafficReports


async def test_a_question_that_cannot_be_answered_ends_nothing() -> None:
    def explain(question: pb.ExplainRoute) -> common_pb2.RouteExplanation:
        raise LookupError("nobody thought of this")

    outbox = Outbox()
    connection = outbox.connected()
    questions = Questions(outbox, TrafficReports(NoStatistics(), outbox.put), explain)

    questions.ask(pb.ConnectResponse(explain=pb.ExplainRoute(id="q-1")))

    said = await asyncio.wait_for(anext(connection), 5)
    assert (said.explained.id, "could not tell" in said.explained.explanation.why) == ("q-1", True)
