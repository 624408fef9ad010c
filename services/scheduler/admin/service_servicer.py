"""Services on the wire."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

import grpc

from easel.admin.v1 import admin_pb2, admin_pb2_grpc
from libs.domain.errors import InvalidRequest
from libs.domain.records import Service
from services.scheduler.admin.services import Services
from services.scheduler.admin.specs import masked
from services.scheduler.admin.views import service_view
from services.scheduler.admin.watching import changed_services
from services.scheduler.convert import version_to_proto
from services.scheduler.ledger import Ledger
from services.scheduler.paging import page

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class ServiceServicer(admin_pb2_grpc.ServiceServiceServicer):
    """Translates; what happens is in `Services`."""

    def __init__(
        self, ledger: Ledger, services: Services, gateway_url: Callable[[], str], stop: asyncio.Event
    ) -> None:
        self._ledger, self._world, self._services = ledger, ledger.world, services
        self._gateway_url, self._stop = gateway_url, stop

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
        warnings: tuple[str, ...] = ()
        if request.to_version:
            service = await self._services.roll_to(request.name, request.to_version)
        elif not request.spec_json:
            raise InvalidRequest("spec_json", "", "the JSON object to merge or to replace by")
        else:
            replace = request.mode == admin_pb2.UpdateServiceRequest.MODE_REPLACE
            service, warnings = await self._services.update(
                request.name, request.spec_json, replace, request.if_revision
            )
        return admin_pb2.UpdateServiceResponse(service=self._view(service), warnings=warnings)

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
        service = await self._services.scale(request.name, request.instances, request.why)
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

    def _view(self, service: Service) -> admin_pb2.Service:
        return service_view(self._world, service, self._gateway_url())
