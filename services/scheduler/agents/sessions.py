"""The agents that are connected now, and what can be asked of them."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, KeysView
from datetime import datetime, timedelta

from easel.agent.v1 import agent_pb2
from libs.db.changes import Changes
from libs.domain.assets import ImagePull, Secret
from libs.domain.errors import FailedPrecondition, NotFound, Unavailable
from libs.domain.records import Instance, Node
from libs.domain.states import NodeState
from services.scheduler.agents.desired import PATIENCE, desired_state, order_of, secrets_of
from services.scheduler.agents.logs import LogInbox
from services.scheduler.secrets.hiding import without
from services.scheduler.secrets.vault import Vault
from services.scheduler.world import World


class Session:
    """One agent's open link: its newest desired state goes out when it changed, its log chunks come in."""

    def __init__(
        self,
        node: str,
        epoch: int,
        world: World,
        agent: str,
        now: datetime,
        vault: Vault | None,
        patience: timedelta,
    ) -> None:
        self.node, self.epoch, self.agent, self.heard_at = node, epoch, agent, now
        self._world, self._vault, self._patience = world, vault, patience
        self._stale = asyncio.Event()
        self._stale.set()
        self._asks: list[agent_pb2.ConnectResponse] = []
        self._logs: dict[str, LogInbox] = {}
        self._sent: agent_pb2.DesiredState | None = None
        self._orders: dict[str, tuple[object, ...] | None] = {}
        self._group = ""
        self.closed = False

    def refresh(self, instance: Instance, deleted: bool) -> None:
        """This instance of the node changed; most changes are reports and alter nothing that is desired."""
        known, now = self._orders.get(instance.id), None if deleted else order_of(instance)
        if known != now:
            self._stale.set()

    def look_again(self) -> None:
        """Something that several nodes depend on changed; nothing goes out when it is no matter here."""
        self._stale.set()

    def look_again_in(self, group: str) -> None:
        """The node is in this resource group now."""
        if group != self._group:
            self._stale.set()

    def close(self) -> None:
        """Ends the link; whoever waits for logs is told."""
        self.closed = True
        self._stale.set()
        for request_id, chunks in self._logs.items():
            chunks.put(agent_pb2.LogChunk(request_id=request_id, end=True, error=self._went_away))

    async def outgoing(self) -> AsyncIterator[agent_pb2.ConnectResponse]:
        """What to send, as it comes up; ends when the session is closed."""
        while True:
            await self._stale.wait()
            self._stale.clear()
            if self.closed:
                return
            asks, self._asks = self._asks, []
            for ask in asks:
                yield ask
            self._orders = {i.id: order_of(i) for i in self._world.instances_on(self.node)}
            self._group = self.group
            desired = desired_state(self._world, self.node, self.epoch, self._vault, self._patience)
            if desired != self._sent:
                self._sent = desired
                yield agent_pb2.ConnectResponse(desired=desired)

    def secrets_of(self, instance: str) -> frozenset[str]:
        """The values of secrets that the instance is handed."""
        known = self._world.instances.get(instance)
        if known is None or self._vault is None:
            return frozenset()
        return secrets_of(self._world, known, self._vault)

    def hide_secrets(self, reports: Iterable[agent_pb2.InstanceReport]) -> None:
        """Takes out of these reports the secrets that a program or an installer has printed."""
        for report in reports:
            if (report.why or report.last_exit) and (values := self.secrets_of(report.id)):
                report.why, report.last_exit = without(report.why, values), without(report.last_exit, values)

    def heard_log(self, chunk: agent_pb2.LogChunk) -> None:
        chunks = self._logs.get(chunk.request_id)
        if chunks is not None:
            chunks.put(chunk)

    async def logs(self, instance: str, follow: bool, tail: int) -> AsyncIterator[bytes]:
        """The instance's output. Raises NotFound with the agent's sentence when there is none, Unavailable
        when the agent went away.
        """
        if self.closed:
            raise Unavailable(self._went_away)
        request_id = uuid.uuid4().hex
        chunks = self._logs[request_id] = LogInbox()
        request = agent_pb2.LogRequest(request_id=request_id, instance_id=instance, follow=follow, tail=tail)
        self._ask(agent_pb2.ConnectResponse(log_request=request))
        try:
            while True:
                chunk = await chunks.next()
                if chunk.error and self.closed:
                    raise Unavailable(chunk.error)
                if chunk.error:
                    raise NotFound(chunk.error)
                if chunk.text:
                    yield chunk.text
                if chunk.end:
                    return
        finally:
            del self._logs[request_id]
            self._ask(agent_pb2.ConnectResponse(log_cancel=agent_pb2.LogCancel(request_id=request_id)))

    @property
    def group(self) -> str:
        """The resource group of the node; empty before the node is known."""
        node = self._world.nodes.get(self.node)
        return node.resource_group if node else ""

    @property
    def _went_away(self) -> str:
        return f"the agent of node {self.node} went away"

    def _ask(self, message: agent_pb2.ConnectResponse) -> None:
        self._asks.append(message)
        self._stale.set()


class Sessions:
    """The open links by node, and when each node was last heard of."""

    def __init__(
        self,
        world: World,
        clock: Callable[[], datetime],
        silent_after: timedelta = timedelta(seconds=10),
        vault: Vault | None = None,
        patience: timedelta = PATIENCE,
    ) -> None:
        """`patience`: how long is waited for requests under way in instances that are one too many."""
        self._world, self._clock, self._silent_after = world, clock, silent_after
        self._vault, self._patience = vault, patience
        self._open: dict[str, Session] = {}
        # A scheduler that just started gives every node the benefit of the doubt that was not given up on.
        self.last_seen: dict[str, datetime] = {
            node.name: clock() for node in world.nodes.values() if node.state is not NodeState.LOST
        }

    @property
    def linked(self) -> KeysView[str]:
        """The nodes with an open link."""
        return self._open.keys()

    def open(self, node: str, epoch: int, agent: str = "") -> Session:
        """The node's link from now on; an older link of the same node is closed.

        Raises FailedPrecondition when that is the link of another agent (`agent` is its identity) that was
        heard of just now: two agents of one name would take the node from each other for ever.
        """
        older = self._open.get(node)
        if older is not None:
            silence = self._clock() - older.heard_at
            if agent and older.agent and agent != older.agent and silence < self._silent_after:
                raise FailedPrecondition(
                    f"another agent is connected as node {node!r}; give this one its own name"
                )
            older.close()
        session = self._open[node] = Session(
            node, epoch, self._world, agent, self._clock(), self._vault, self._patience
        )
        return session

    def closed(self, session: Session) -> None:
        session.close()
        if self._open.get(session.node) is session:
            del self._open[session.node]

    def close_all(self) -> None:
        """Ends every link; agents come back on their own."""
        for session in tuple(self._open.values()):
            self.closed(session)

    def heard_on(self, session: Session) -> None:
        """The agent said something on its link."""
        session.heard_at = self._clock()
        self.seen(session.node)

    def seen(self, node: str) -> None:
        """The node spoke; one that is not known yet is not remembered."""
        if node in self._world.nodes:
            self.last_seen[node] = self._clock()

    def of(self, instance: Instance) -> Session:
        """Raises Unavailable while the instance's agent is away."""
        session = self._open.get(instance.node)
        if session is None:
            where = instance.node or "any node"
            raise Unavailable(f"the agent that runs {instance.id} on {where} is not connected")
        return session

    def heard(self, changes: Changes) -> None:
        """A ledger listener: nodes whose instances, secrets or images to pull changed get a fresh look."""
        for deleted, records in ((False, changes.put), (True, changes.delete)):
            for record in records:
                match record:
                    case Instance():
                        if record.node in self._open:
                            self._open[record.node].refresh(record, deleted)
                    case Node():
                        self._heard_of_node(record, deleted)
                    case Secret():
                        for session in self._open.values():
                            session.look_again()
                    case ImagePull():
                        for session in self._open.values():
                            if session.group == record.resource_group:
                                session.look_again()

    def _heard_of_node(self, node: Node, deleted: bool) -> None:
        if deleted:
            self._forget(node.name)
        elif node.name in self._open:
            self._open[node.name].look_again_in(node.resource_group)

    def _forget(self, node: str) -> None:
        """An agent that just connected as a deleted node is sent away, so that it joins anew."""
        self.last_seen.pop(node, None)
        if node in self._open:
            self.closed(self._open[node])
