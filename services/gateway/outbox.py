"""What a gateway has to say to the scheduler, until a connection takes it along."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from enum import Enum, auto

from easel.gateway.v1 import gateway_pb2 as pb
from services.gateway.ads.messages import Refusal
from services.gateway.condition import Condition
from services.gateway.translate import condition_to_proto


class _Keep(Enum):
    """What becomes of a message that waits."""

    # All are sent, on the connection they belong to, and none is kept while there is no connection.
    EACH = auto()
    # Sent on whichever connection; those that wait become one, with the newest of each token.
    ALWAYS = auto()
    # The newest stands for those before it, on the connection it belongs to.
    NEWEST = auto()
    # The newest stands for those before it, and every connection begins with it.
    TRUE_UNTIL_NEXT = auto()


_KINDS = {
    "applied": _Keep.NEWEST,
    "refused": _Keep.EACH,
    "explained": _Keep.EACH,
    "traffic": _Keep.NEWEST,
    "comparisons": _Keep.TRUE_UNTIL_NEXT,
    "token_uses": _Keep.ALWAYS,
    "status": _Keep.TRUE_UNTIL_NEXT,
    "waiting": _Keep.TRUE_UNTIL_NEXT,
}


class Outbox:
    """Safe to put into at any time; while nobody is connected, what nobody will ask for is dropped."""

    def __init__(self) -> None:
        self._waiting: deque[pb.ConnectRequest] = deque()
        self._standing: dict[str, pb.ConnectRequest] = {}
        self._filled = asyncio.Event()
        self._connection, self._is_connected = 0, False

    def put(self, message: pb.ConnectRequest) -> None:
        """Has a message sent after all that wait, in place of those for which it stands."""
        kind = _kind(message)
        keep = _KINDS[kind]
        if keep in (_Keep.NEWEST, _Keep.TRUE_UNTIL_NEXT):
            self._waiting = deque(each for each in self._waiting if _kind(each) != kind)
        if keep is _Keep.EACH and not self._is_connected:
            return
        if keep is _Keep.ALWAYS:
            message = self._together(message)
        if keep is _Keep.TRUE_UNTIL_NEXT:
            self._standing[kind] = message
        self._waiting.append(message)
        self._filled.set()

    def applied(self, generation: int, envoys: int) -> None:
        """Says that every Envoy has this generation."""
        self.put(pb.ConnectRequest(applied=pb.Applied(generation=generation, envoys=envoys)))

    def refused(self, generation: int, refusal: Refusal) -> None:
        """Says that an Envoy would not take a resource."""
        message = pb.Refused(
            generation=generation,
            type_url=refusal.type_url,
            resources=refusal.names,
            message=refusal.message,
        )
        self.put(pb.ConnectRequest(refused=message))

    def status(self, condition: Condition) -> None:
        """Says whether the gateway does what its settings ask for."""
        self.put(pb.ConnectRequest(status=condition_to_proto(condition)))

    def connected(self) -> AsyncIterator[pb.ConnectRequest]:
        """What a new connection is to send. The one before it gets nothing more."""
        self._connection, self._is_connected = self._connection + 1, True
        always = [each for each in self._waiting if _KINDS[_kind(each)] is _Keep.ALWAYS]
        self._waiting = deque([*self._standing.values(), *always])
        self._filled.set()
        return self._taken_by(self._connection)

    def disconnected(self) -> None:
        """Says that the newest connection is over."""
        self._is_connected = False

    def _together(self, message: pb.ConnectRequest) -> pb.ConnectRequest:
        """The uses of this message and of those that wait, which it replaces."""
        waiting = [each for each in self._waiting if each.HasField("token_uses")]
        self._waiting = deque(each for each in self._waiting if not each.HasField("token_uses"))
        newest = {use.token_id: use for each in (*waiting, message) for use in each.token_uses.uses}
        return pb.ConnectRequest(token_uses=pb.TokenUses(uses=newest.values()))

    async def _taken_by(self, connection: int) -> AsyncIterator[pb.ConnectRequest]:
        while True:
            await self._filled.wait()
            if connection != self._connection:
                return
            if self._waiting:
                yield self._waiting.popleft()
            else:
                self._filled.clear()


def _kind(message: pb.ConnectRequest) -> str:
    return str(message.WhichOneof("message"))
