"""What the scheduler asks beside telling what to serve."""

import logging
from collections.abc import Callable
from datetime import timedelta

from easel.common.v1 import common_pb2
from easel.gateway.v1 import gateway_pb2 as pb
from services.gateway.outbox import Outbox
from services.gateway.statistics.traffic_reports import TrafficReports

log = logging.getLogger(__name__)

Explain = Callable[[pb.ExplainRoute], common_pb2.RouteExplanation]


class Questions:
    """Answers what can be answered at once, and has the rest answered as often as is asked for."""

    def __init__(self, outbox: Outbox, traffic: TrafficReports, explain: Explain) -> None:
        self._outbox, self._traffic, self._explain = outbox, traffic, explain

    def ask(self, question: pb.ConnectResponse) -> None:
        """Takes one question; any other message is none."""
        kind = question.WhichOneof("message")
        if kind == "explain":
            answer = pb.Explained(id=question.explain.id, explanation=self._explained(question.explain))
            self._outbox.put(pb.ConnectRequest(explained=answer))
        elif kind == "watch_traffic":
            asked = question.watch_traffic
            self._traffic.watch(frozenset(asked.services), timedelta(milliseconds=asked.every_ms))

    def _explained(self, question: pb.ExplainRoute) -> common_pb2.RouteExplanation:
        try:
            return self._explain(question)
        except Exception:
            # Whatever somebody asks about, routes go on being served.
            log.exception("a question about a request could not be answered")
            return common_pb2.RouteExplanation(why="this gateway could not tell; its log has the reason")

    def nobody_asks(self) -> None:
        """The connection is over: what it had asked for again and again is not answered any more."""
        self._traffic.watch(frozenset(), timedelta(0))
