"""ReplayService for those with an admin token: calls are handed on to the autoscaler."""

from typing import Any, TypeAlias

import grpc

from easel.autoscaler.v1 import autoscaler_pb2, autoscaler_pb2_grpc
from services.scheduler.forwarding.peer import Peer

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
# A policy is played over hours of load.
_REPLAY_SECONDS = 25.0


class ReplayForwarder(autoscaler_pb2_grpc.ReplayServiceServicer):
    def __init__(self, autoscaler: Peer) -> None:
        self._autoscaler = autoscaler

    async def Replay(
        self, request: autoscaler_pb2.ReplayRequest, context: Context
    ) -> autoscaler_pb2.ReplayResponse:
        stub = autoscaler_pb2_grpc.ReplayServiceStub(self._autoscaler.channel)
        return await self._autoscaler.call(stub.Replay, request, _REPLAY_SECONDS)
