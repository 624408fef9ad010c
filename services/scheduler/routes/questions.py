"""Questions to gateways whose answers somebody waits for."""

import asyncio
import secrets

from easel.common.v1 import common_pb2
from easel.gateway.v1 import gateway_pb2
from libs.domain.errors import DeadlineExceeded, Unavailable
from services.scheduler.routes.gateways import Gateway

WITHIN = 2.0


class Questions:
    """An answer that comes too late, or that nobody asked for, is dropped."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[Gateway, asyncio.Future[common_pb2.RouteExplanation]]] = {}

    async def explain(
        self, gateway: Gateway, question: gateway_pb2.ExplainRoute, within: float = WITHIN
    ) -> common_pb2.RouteExplanation:
        """Raises DeadlineExceeded, and Unavailable when the gateway goes away meanwhile."""
        question.id = secrets.token_hex(8)
        answer: asyncio.Future[common_pb2.RouteExplanation] = asyncio.get_running_loop().create_future()
        self._waiting[question.id] = gateway, answer
        try:
            gateway.ask(gateway_pb2.ConnectResponse(explain=question))
            return await asyncio.wait_for(answer, within)
        except TimeoutError:
            raise DeadlineExceeded(f"gateway {gateway.name!r} did not answer within {within:g} s") from None
        finally:
            del self._waiting[question.id]

    def answered(self, gateway: Gateway, told: gateway_pb2.Explained) -> None:
        """Only the gateway that was asked may answer."""
        asked, answer = self._waiting.get(told.id, (None, None))
        if asked is gateway and answer is not None and not answer.done():
            answer.set_result(told.explanation)

    def left(self, gateway: Gateway) -> None:
        """What it was asked will not be answered."""
        for asked, answer in self._waiting.values():
            if asked is gateway and not answer.done():
                answer.set_exception(Unavailable(f"gateway {gateway.name!r} went away before it answered"))
