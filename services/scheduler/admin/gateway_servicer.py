"""Gateways and registries on the wire."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

import grpc

from easel.admin.v1 import admin_pb2, admin_pb2_grpc
from libs.domain.traffic import Registry
from services.scheduler.admin.gateway_views import (
    GatewayViews,
    gateway_from_proto,
    registry_from_proto,
    registry_view,
)
from services.scheduler.gateways import registries, rules
from services.scheduler.ledger import Ledger
from services.scheduler.paging import page
from services.scheduler.routes.gateways import Gateways
from services.scheduler.routes.table import RoutesTable

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class GatewayServicer(admin_pb2_grpc.GatewayServiceServicer):
    def __init__(
        self, ledger: Ledger, gateways: Gateways, table: RoutesTable, clock: Callable[[], datetime]
    ) -> None:
        self._ledger, self._world, self._table, self._clock = ledger, ledger.world, table, clock
        self._gateways = gateways
        self._views = GatewayViews(ledger.world, gateways, table)

    async def CreateGateway(
        self, request: admin_pb2.CreateGatewayRequest, context: Context
    ) -> admin_pb2.CreateGatewayResponse:
        asked = gateway_from_proto(request.gateway, self._clock())
        await self._ledger.change(
            lambda world: rules.created(world, asked, self._clock(), self._gateways.ports())
        )
        return admin_pb2.CreateGatewayResponse(gateway=self._views.of(asked.name, self._clock()))

    async def GetGateway(
        self, request: admin_pb2.GetGatewayRequest, context: Context
    ) -> admin_pb2.GetGatewayResponse:
        return admin_pb2.GetGatewayResponse(gateway=self._views.of(request.name, self._clock()))

    async def ListGateways(
        self, request: admin_pb2.ListGatewaysRequest, context: Context
    ) -> admin_pb2.ListGatewaysResponse:
        names = self._views.names(request.with_nodes)
        shown, more = page(names, lambda name: name, request.page_size, request.page_token)
        return admin_pb2.ListGatewaysResponse(
            gateways=[self._views.of(name, self._clock()) for name in shown], next_page_token=more
        )

    async def UpdateGateway(
        self, request: admin_pb2.UpdateGatewayRequest, context: Context
    ) -> admin_pb2.UpdateGatewayResponse:
        asked, fields = gateway_from_proto(request.gateway, self._clock()), list(request.fields)
        await self._ledger.change(
            lambda world: rules.updated(world, asked, fields, self._clock(), self._gateways.ports())
        )
        return admin_pb2.UpdateGatewayResponse(gateway=self._views.of(asked.name, self._clock()))

    async def DeleteGateway(
        self, request: admin_pb2.DeleteGatewayRequest, context: Context
    ) -> admin_pb2.DeleteGatewayResponse:
        await self._ledger.change(lambda world: rules.deleted(world, request.name, self._clock()))
        return admin_pb2.DeleteGatewayResponse()

    async def PutRegistry(
        self, request: admin_pb2.PutRegistryRequest, context: Context
    ) -> admin_pb2.PutRegistryResponse:
        asked = registry_from_proto(request.registry, self._clock())
        await self._ledger.change(lambda world: registries.put(world, asked, self._clock()))
        return admin_pb2.PutRegistryResponse(registry=self._registry(self._world.registries[asked.id]))

    async def ListRegistries(
        self, request: admin_pb2.ListRegistriesRequest, context: Context
    ) -> admin_pb2.ListRegistriesResponse:
        known = self._world.registries.values()
        shown, more = page(known, lambda r: r.id, request.page_size, request.page_token)
        return admin_pb2.ListRegistriesResponse(
            registries=[self._registry(each) for each in shown], next_page_token=more
        )

    async def DeleteRegistry(
        self, request: admin_pb2.DeleteRegistryRequest, context: Context
    ) -> admin_pb2.DeleteRegistryResponse:
        await self._ledger.change(
            lambda world: registries.deleted(
                world, request.id, self._table.written_to(request.id), self._clock()
            )
        )
        return admin_pb2.DeleteRegistryResponse()

    def _registry(self, registry: Registry) -> admin_pb2.Registry:
        return registry_view(registry, self._table.written_to(registry.id))
