"""Instances on the wire."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeAlias

import grpc

from easel.admin.v1 import admin_pb2, admin_pb2_grpc
from libs.db.changes import Changes
from libs.domain.errors import FailedPrecondition
from libs.domain.records import Event
from libs.domain.states import LIVE_STATES, EventKind, InstanceState
from services.scheduler.admin.views import instance_view
from services.scheduler.agents.sessions import Sessions
from services.scheduler.ledger import Ledger
from services.scheduler.paging import page
from services.scheduler.world import World

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]

_NOT_BEGUN = (InstanceState.PENDING, InstanceState.PULLING)


class InstanceServicer(admin_pb2_grpc.InstanceServiceServicer):
    def __init__(self, ledger: Ledger, sessions: Sessions, clock: Callable[[], datetime]) -> None:
        self._ledger, self._world, self._sessions, self._clock = ledger, ledger.world, sessions, clock

    async def ListInstances(
        self, request: admin_pb2.ListInstancesRequest, context: Context
    ) -> admin_pb2.ListInstancesResponse:
        if request.service:
            self._world.service(request.service)
        rows = (
            self._world.instances_of(request.service) if request.service else self._world.instances.values()
        )
        matching = (i for i in rows if request.node in ("", i.node))
        shown, more = page(matching, lambda i: i.id, request.page_size, request.page_token)
        return admin_pb2.ListInstancesResponse(
            instances=[instance_view(self._world, i) for i in shown], next_page_token=more
        )

    async def GetInstance(
        self, request: admin_pb2.GetInstanceRequest, context: Context
    ) -> admin_pb2.GetInstanceResponse:
        instance = self._world.instance(request.id)
        return admin_pb2.GetInstanceResponse(instance=instance_view(self._world, instance))

    async def DeleteInstance(
        self, request: admin_pb2.DeleteInstanceRequest, context: Context
    ) -> admin_pb2.DeleteInstanceResponse:
        await self._ledger.change(lambda world: removed_by_hand(world, request.id, self._clock()))
        return admin_pb2.DeleteInstanceResponse()

    async def StreamInstanceLogs(
        self, request: admin_pb2.StreamInstanceLogsRequest, context: Context
    ) -> AsyncIterator[admin_pb2.StreamInstanceLogsResponse]:
        instance = self._world.instance(request.id)
        if instance.started_at is None and not instance.restarts and instance.state in _NOT_BEGUN:
            why = f": {instance.why}" if instance.why else ""
            raise FailedPrecondition(f"{instance.id} has written nothing; it is {instance.state.value}{why}")
        session = self._sessions.of(instance)
        async for text in session.logs(request.id, request.follow, request.tail or 100):
            yield admin_pb2.StreamInstanceLogsResponse(text=text)


def removed_by_hand(world: World, instance_id: str, now: datetime) -> Changes:
    """The instance leaves traffic and stops; its service makes another.

    Raises NotFound, FailedPrecondition.
    """
    instance = world.instance(instance_id)
    if instance.state is InstanceState.TERMINATING:
        return Changes()
    if instance.state not in LIVE_STATES:
        raise FailedPrecondition(f"instance {instance_id!r} is {instance.state.value}: {instance.why}")
    why = "its removal was asked for"
    leaving = replace(instance, state=InstanceState.TERMINATING, ready=False, why=why, drain_started_at=now)
    event = Event(now, EventKind.NORMAL, "InstanceLeaving", why, "instance", instance.id, instance.service)
    return Changes(put=(leaving,), events=(event,))
