"""Gateways, and registries that clients look services up in, over the admin API."""

from collections.abc import AsyncIterator
from typing import Unpack

from easel.admin.v1 import admin_pb2 as pb
from easel.admin.v1 import admin_pb2_grpc as rpc
from easel_sdk import _convert_traffic as convert
from easel_sdk._wire import Wire, pages
from easel_sdk.types import Gateway, GatewaySettings, Registry

_PAGE = 200


class AsyncGateways:
    """What carries requests in: the shared one, and any number beside it."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._stub = rpc.GatewayServiceStub(wire.channel)

    async def create(self, name: str, **settings: Unpack[GatewaySettings]) -> Gateway:
        """Without `host`, an operator starts the gateway's process."""
        gateway, _ = convert.gateway_to_proto(name, settings)
        answer = await self._wire.call(self._stub.CreateGateway, pb.CreateGatewayRequest(gateway=gateway))
        return convert.gateway(answer.gateway)

    async def get(self, name: str) -> Gateway:
        answer = await self._wire.call(
            self._stub.GetGateway, pb.GetGatewayRequest(name=name), repeatable=True
        )
        return convert.gateway(answer.gateway)

    async def update(self, name: str, **settings: Unpack[GatewaySettings]) -> Gateway:
        """Changes what is given and leaves the rest; a tuple replaces all that was in its place."""
        gateway, fields = convert.gateway_to_proto(name, settings)
        request = pb.UpdateGatewayRequest(gateway=gateway, fields=fields)
        return convert.gateway((await self._wire.call(self._stub.UpdateGateway, request)).gateway)

    async def delete(self, name: str) -> None:
        """Refused while a service or a group is on it."""
        await self._wire.call(self._stub.DeleteGateway, pb.DeleteGatewayRequest(name=name))

    async def list(self, *, with_nodes: bool = False) -> AsyncIterator[Gateway]:
        """Every gateway; with those of nodes, which clients that connect directly call, only if asked."""

        async def page(token: str) -> tuple[list[Gateway], str]:
            request = pb.ListGatewaysRequest(page_size=_PAGE, page_token=token, with_nodes=with_nodes)
            answer = await self._wire.call(self._stub.ListGateways, request, repeatable=True)
            return [convert.gateway(each) for each in answer.gateways], answer.next_page_token

        async for gateway in pages(page):
            yield gateway


class AsyncRegistries:
    """Where instances are written for clients that look them up themselves."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._stub = rpc.GatewayServiceStub(wire.channel)

    async def put(
        self,
        registry_id: str,
        url: str,
        *,
        kind: str = "nacos",
        namespace: str = "",
        group: str = "",
        secret: str = "",
    ) -> Registry:
        """Makes a registry known, or changes one. `secret` names the secret with `user` and `password`."""
        registry = pb.Registry(
            id=registry_id, kind=kind, url=url, namespace=namespace, group=group, secret=secret
        )
        answer = await self._wire.call(self._stub.PutRegistry, pb.PutRegistryRequest(registry=registry))
        return convert.registry(answer.registry)

    async def delete(self, registry_id: str) -> None:
        """Refused while a service is written to it."""
        await self._wire.call(self._stub.DeleteRegistry, pb.DeleteRegistryRequest(id=registry_id))

    async def list(self) -> AsyncIterator[Registry]:
        async def page(token: str) -> tuple[list[Registry], str]:
            request = pb.ListRegistriesRequest(page_size=_PAGE, page_token=token)
            answer = await self._wire.call(self._stub.ListRegistries, request, repeatable=True)
            return [convert.registry(each) for each in answer.registries], answer.next_page_token

        async for registry in pages(page):
            yield registry
