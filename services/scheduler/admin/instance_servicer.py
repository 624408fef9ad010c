"""Instances on the wire."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any, TypeAlias

import grpc

from easel.admin.v1 import admin_pb2, admin_pb2_grpc
from libs.domain.errors import FailedPrecondition
from libs.domain.states import InstanceState
from services.scheduler.admin.instances import deleted, detached, isolated, restarted
from services.scheduler.admin.views import instance_view
from services.scheduler.agents.sessions import Sessions
from services.scheduler.convert import finding_to_proto
from services.scheduler.diagnose.asking import Diagnoses
from services.scheduler.ledger import Ledger
from services.scheduler.live import Live
from services.scheduler.paging import page

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]

_NOT_BEGUN = (InstanceState.PENDING, InstanceState.PULLING)


class InstanceServicer(admin_pb2_grpc.InstanceServiceServicer):
    def __init__(
        self,
        ledger: Ledger,
        sessions: Sessions,
        live: Live,
        diagnoses: Diagnoses,
        clock: Callable[[], datetime],
    ) -> None:
        self._ledger, self._world, self._sessions, self._clock = ledger, ledger.world, sessions, clock
        self._live, self._diagnoses = live, diagnoses

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
            instances=[self._view(i.id) for i in shown], next_page_token=more
        )

    async def GetInstance(
        self, request: admin_pb2.GetInstanceRequest, context: Context
    ) -> admin_pb2.GetInstanceResponse:
        return admin_pb2.GetInstanceResponse(instance=self._view(request.id))

    async def DeleteInstance(
        self, request: admin_pb2.DeleteInstanceRequest, context: Context
    ) -> admin_pb2.DeleteInstanceResponse:
        await self._ledger.change(lambda world: deleted(world, request.id, self._clock()))
        return admin_pb2.DeleteInstanceResponse()

    async def RestartInstance(
        self, request: admin_pb2.RestartInstanceRequest, context: Context
    ) -> admin_pb2.RestartInstanceResponse:
        await self._ledger.change(lambda world: restarted(world, request.id, self._clock()))
        return admin_pb2.RestartInstanceResponse(instance=self._view(request.id))

    async def IsolateInstance(
        self, request: admin_pb2.IsolateInstanceRequest, context: Context
    ) -> admin_pb2.IsolateInstanceResponse:
        await self._ledger.change(
            lambda world: isolated(world, request.id, request.isolated, request.why, self._clock())
        )
        return admin_pb2.IsolateInstanceResponse(instance=self._view(request.id))

    async def DetachInstance(
        self, request: admin_pb2.DetachInstanceRequest, context: Context
    ) -> admin_pb2.DetachInstanceResponse:
        await self._ledger.change(lambda world: detached(world, request.id, request.why, self._clock()))
        return admin_pb2.DetachInstanceResponse(instance=self._view(request.id))

    async def DiagnoseInstance(
        self, request: admin_pb2.DiagnoseInstanceRequest, context: Context
    ) -> admin_pb2.DiagnoseInstanceResponse:
        findings = await self._diagnoses.instance(request.id)
        return admin_pb2.DiagnoseInstanceResponse(findings=[finding_to_proto(each) for each in findings])

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

    def _view(self, instance_id: str) -> admin_pb2.Instance:
        return instance_view(self._world, self._world.instance(instance_id), self._live.of(instance_id))
