"""Services on the wire."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

import grpc

from easel.admin.v1 import admin_pb2, admin_pb2_grpc
from services.scheduler.admin.services import Services
from services.scheduler.admin.views import ServiceViews
from services.scheduler.admin.watching import changed_services
from services.scheduler.convert import (
    action_from_proto,
    finding_to_proto,
    plan_from_proto,
    safety_lock_from_proto,
    update_from_proto,
    version_to_proto,
)
from services.scheduler.diagnose.asking import Diagnoses
from services.scheduler.ledger import Ledger
from services.scheduler.masking import masked
from services.scheduler.paging import page

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class ServiceServicer(admin_pb2_grpc.ServiceServiceServicer):
    """Translates; what happens is in `Services`."""

    def __init__(
        self,
        ledger: Ledger,
        services: Services,
        views: ServiceViews,
        diagnoses: Diagnoses,
        stop: asyncio.Event,
    ) -> None:
        self._ledger, self._world, self._services = ledger, ledger.world, services
        self._view, self._diagnoses, self._stop = views.of, diagnoses, stop

    async def CreateService(
        self, request: admin_pb2.CreateServiceRequest, context: Context
    ) -> admin_pb2.CreateServiceResponse:
        service, warnings = await self._services.create(request.spec_json, request.idempotency_key)
        return admin_pb2.CreateServiceResponse(service=self._view(service), warnings=warnings)

    async def GetService(
        self, request: admin_pb2.GetServiceRequest, context: Context
    ) -> admin_pb2.GetServiceResponse:
        return admin_pb2.GetServiceResponse(service=self._view(self._world.service(request.name)))

    async def ListServices(
        self, request: admin_pb2.ListServicesRequest, context: Context
    ) -> admin_pb2.ListServicesResponse:
        labels = request.labels.items()
        matching = (
            service
            for service in self._world.services.values()
            if request.filter in service.name and labels <= service.labels.items()
        )
        shown, more = page(matching, lambda s: s.name, request.page_size, request.page_token)
        return admin_pb2.ListServicesResponse(
            services=[self._view(service) for service in shown], next_page_token=more
        )

    async def UpdateService(
        self, request: admin_pb2.UpdateServiceRequest, context: Context
    ) -> admin_pb2.UpdateServiceResponse:
        service, warnings = await self._services.update(update_from_proto(request))
        return admin_pb2.UpdateServiceResponse(service=self._view(service), warnings=warnings)

    async def PlanServiceUpdate(
        self, request: admin_pb2.PlanServiceUpdateRequest, context: Context
    ) -> admin_pb2.PlanServiceUpdateResponse:
        foreseen = self._services.foresee(update_from_proto(request.update))
        return admin_pb2.PlanServiceUpdateResponse(
            changes=[
                admin_pb2.Change(path=each.path, before=each.before, after=each.after)
                for each in foreseen.changes
            ],
            version=foreseen.version,
            rolls=foreseen.rolls,
            steps=foreseen.steps,
            warnings=foreseen.warnings,
        )

    async def CloneService(
        self, request: admin_pb2.CloneServiceRequest, context: Context
    ) -> admin_pb2.CloneServiceResponse:
        service, warnings = await self._services.clone(request.name, request.new_name, request.spec_json)
        return admin_pb2.CloneServiceResponse(service=self._view(service), warnings=warnings)

    async def SetSafetyLock(
        self, request: admin_pb2.SetSafetyLockRequest, context: Context
    ) -> admin_pb2.SetSafetyLockResponse:
        lock = safety_lock_from_proto(request.safety_lock)
        service = await self._services.lock(request.name, lock)
        return admin_pb2.SetSafetyLockResponse(service=self._view(service))

    async def SetServiceLabels(
        self, request: admin_pb2.SetServiceLabelsRequest, context: Context
    ) -> admin_pb2.SetServiceLabelsResponse:
        service = await self._services.label(request.name, request.labels)
        return admin_pb2.SetServiceLabelsResponse(service=self._view(service))

    async def SetRolloutPlan(
        self, request: admin_pb2.SetRolloutPlanRequest, context: Context
    ) -> admin_pb2.SetRolloutPlanResponse:
        service = await self._services.replan_rollout(request.name, plan_from_proto(request.plan))
        return admin_pb2.SetRolloutPlanResponse(service=self._view(service))

    async def ControlRollout(
        self, request: admin_pb2.ControlRolloutRequest, context: Context
    ) -> admin_pb2.ControlRolloutResponse:
        if request.action == admin_pb2.ControlRolloutRequest.ACTION_UNDO:
            service = await self._services.undo_rollout(request.name)
        else:
            action = action_from_proto(request.action)
            service = await self._services.control_rollout(request.name, action)
        return admin_pb2.ControlRolloutResponse(service=self._view(service))

    async def DiagnoseService(
        self, request: admin_pb2.DiagnoseServiceRequest, context: Context
    ) -> admin_pb2.DiagnoseServiceResponse:
        findings = await self._diagnoses.service(request.name)
        return admin_pb2.DiagnoseServiceResponse(findings=[finding_to_proto(each) for each in findings])

    async def DeleteService(
        self, request: admin_pb2.DeleteServiceRequest, context: Context
    ) -> admin_pb2.DeleteServiceResponse:
        await self._services.delete(request.name)
        return admin_pb2.DeleteServiceResponse()

    async def StartService(
        self, request: admin_pb2.StartServiceRequest, context: Context
    ) -> admin_pb2.StartServiceResponse:
        return admin_pb2.StartServiceResponse(service=self._view(await self._services.start(request.name)))

    async def StopService(
        self, request: admin_pb2.StopServiceRequest, context: Context
    ) -> admin_pb2.StopServiceResponse:
        return admin_pb2.StopServiceResponse(service=self._view(await self._services.stop(request.name)))

    async def RestartService(
        self, request: admin_pb2.RestartServiceRequest, context: Context
    ) -> admin_pb2.RestartServiceResponse:
        return admin_pb2.RestartServiceResponse(
            service=self._view(await self._services.restart(request.name))
        )

    async def ScaleService(
        self, request: admin_pb2.ScaleServiceRequest, context: Context
    ) -> admin_pb2.ScaleServiceResponse:
        named = tuple(request.instances_to_delete)
        service = await self._services.scale(request.name, request.instances, request.why, named)
        return admin_pb2.ScaleServiceResponse(service=self._view(service))

    async def ListServiceVersions(
        self, request: admin_pb2.ListServiceVersionsRequest, context: Context
    ) -> admin_pb2.ListServiceVersionsResponse:
        self._world.service(request.name)
        versions = self._world.versions.get(request.name, {}).values()
        shown, more = page(versions, lambda v: f"{v.number:09}", request.page_size, request.page_token)
        return admin_pb2.ListServiceVersionsResponse(
            versions=[version_to_proto(v, masked(v.spec_json)) for v in shown], next_page_token=more
        )

    async def GetServiceToken(
        self, request: admin_pb2.GetServiceTokenRequest, context: Context
    ) -> admin_pb2.GetServiceTokenResponse:
        return admin_pb2.GetServiceTokenResponse(token=self._world.service(request.name).token)

    async def WatchServices(
        self, request: admin_pb2.WatchServicesRequest, context: Context
    ) -> AsyncIterator[admin_pb2.WatchServicesResponse]:
        async for names, synced in changed_services(self._ledger, request.name, self._stop):
            for name in names:
                service = self._world.services.get(name)
                if service is None:
                    yield admin_pb2.WatchServicesResponse(service=admin_pb2.Service(name=name), deleted=True)
                else:
                    yield admin_pb2.WatchServicesResponse(service=self._view(service))
            if synced:
                yield admin_pb2.WatchServicesResponse(synced=True)
