"""The agents that are connected now, and what can be asked of them."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from datetime import datetime

from easel.agent.v1 import agent_pb2
from libs.db.changes import Changes
from libs.domain.errors import NotFound, Unavailable
from libs.domain.records import Instance
from services.scheduler.agents.desired import desired_state, order_of
from services.scheduler.world import World


class Session:
    """One agent's open link: its newest desired state goes out when it changed, its log chunks come in."""

    def __init__(self, node: str, epoch: int, world: World) -> None:
        self.node, self.epoch = node, epoch
        self._world = world
        self._stale = asyncio.Event()
        self._stale.set()
        self._asks: list[agent_pb2.ConnectResponse] = []
        self._logs: dict[str, asyncio.Queue[agent_pb2.LogChunk]] = {}
        self._sent: agent_pb2.DesiredState | None = None
        self._orders: dict[str, tuple[object, ...] | None] = {}
        self._closed = False

    def refresh(self, instance: Instance, deleted: bool) -> None:
        """This instance of the node changed; most changes are reports and alter nothing that is desired."""
        known, now = self._orders.get(instance.id), None if deleted else order_of(instance)
        if known != now:
            self._stale.set()

    def close(self) -> None:
        """Ends the link; whoever waits for logs is told."""
        self._closed = True
        self._stale.set()
        for request_id, chunks in self._logs.items():
            chunks.put_nowait(
                agent_pb2.LogChunk(
                    request_id=request_id, end=True, error=f"the agent of {self.node} went away"
                )
            )

    async def outgoing(self) -> AsyncIterator[agent_pb2.ConnectResponse]:
        """What to send, as it comes up; ends when the session is closed."""
        while True:
            await self._stale.wait()
            self._stale.clear()
            if self._closed:
                return
            asks, self._asks = self._asks, []
            for ask in asks:
                yield ask
            self._orders = {i.id: order_of(i) for i in self._world.instances_on(self.node)}
            desired = desired_state(self._world, self.node, self.epoch)
            if desired != self._sent:
                self._sent = desired
                yield agent_pb2.ConnectResponse(desired=desired)

    def heard_log(self, chunk: agent_pb2.LogChunk) -> None:
        chunks = self._logs.get(chunk.request_id)
        if chunks is not None:
            chunks.put_nowait(chunk)

    async def logs(self, instance: str, follow: bool, tail: int) -> AsyncIterator[bytes]:
        """The instance's output. Raises NotFound with the agent's sentence when there is none."""
        request_id = uuid.uuid4().hex
        chunks = self._logs[request_id] = asyncio.Queue()
        request = agent_pb2.LogRequest(request_id=request_id, instance_id=instance, follow=follow, tail=tail)
        self._ask(agent_pb2.ConnectResponse(log_request=request))
        try:
            while True:
                chunk = await chunks.get()
                if chunk.error:
                    raise NotFound(chunk.error)
                if chunk.text:
                    yield chunk.text
                if chunk.end:
                    return
        finally:
            del self._logs[request_id]
            self._ask(agent_pb2.ConnectResponse(log_cancel=agent_pb2.LogCancel(request_id=request_id)))

    def _ask(self, message: agent_pb2.ConnectResponse) -> None:
        self._asks.append(message)
        self._stale.set()


class Sessions:
    """The open links by node, and when each node was last heard of."""

    def __init__(self, world: World, clock: Callable[[], datetime]) -> None:
        self._world, self._clock = world, clock
        self._open: dict[str, Session] = {}
        # A scheduler that just started gives every node the benefit of the doubt.
        self.last_seen: dict[str, datetime] = {name: clock() for name in world.nodes}

    def open(self, node: str, epoch: int) -> Session:
        """The node's link from now on; an older link of the same node is closed."""
        older = self._open.get(node)
        if older is not None:
            older.close()
        session = self._open[node] = Session(node, epoch, self._world)
        self.seen(node)
        return session

    def closed(self, session: Session) -> None:
        session.close()
        if self._open.get(session.node) is session:
            del self._open[session.node]

    def close_all(self) -> None:
        """Ends every link; agents come back on their own."""
        for session in tuple(self._open.values()):
            self.closed(session)

    def seen(self, node: str) -> None:
        self.last_seen[node] = self._clock()

    def connected(self, node: str) -> bool:
        return node in self._open

    def of(self, instance: Instance) -> Session:
        """Raises Unavailable while the instance's agent is away."""
        session = self._open.get(instance.node)
        if session is None:
            where = instance.node or "any node"
            raise Unavailable(f"the agent that runs {instance.id} on {where} is not connected")
        return session

    def heard(self, changes: Changes) -> None:
        """A ledger listener: nodes whose instances changed get a fresh look."""
        for deleted, records in ((False, changes.put), (True, changes.delete)):
            for record in records:
                if isinstance(record, Instance) and record.node in self._open:
                    self._open[record.node].refresh(record, deleted)
