"""Services over the admin API."""

import json
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

from easel.admin.v1 import admin_pb2 as pb
from easel.admin.v1 import admin_pb2_grpc as rpc
from easel_sdk import _convert as convert
from easel_sdk._wire import Wire, pages
from easel_sdk.types import Service, ServiceChange, ServiceVersion, Written

Spec = str | Mapping[str, Any]
_PAGE = 200


def spec_text(spec: Spec) -> str:
    """A service.json as text; text is sent as it is."""
    return spec if isinstance(spec, str) else json.dumps(spec)


class AsyncServices:
    """Create, read, change and watch services. Every method raises `easel_sdk.EaselError`s."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._stub = rpc.ServiceServiceStub(wire.channel)

    async def create(self, spec: Spec, *, idempotency_key: str = "") -> Written:
        """Creates a service. Sent again if the scheduler is away for a moment; it is created once."""
        request = pb.CreateServiceRequest(
            spec_json=spec_text(spec), idempotency_key=idempotency_key or uuid.uuid4().hex
        )
        answer = await self._wire.call(self._stub.CreateService, request, repeatable=True)
        return Written(convert.service(answer.service), tuple(answer.warnings))

    async def get(self, name: str) -> Service:
        request = pb.GetServiceRequest(name=name)
        answer = await self._wire.call(self._stub.GetService, request, repeatable=True)
        return convert.service(answer.service)

    async def list(
        self, *, containing: str = "", labels: Mapping[str, str] | None = None
    ) -> AsyncIterator[Service]:
        """Every service whose name contains `containing` and that carries all `labels`."""

        async def page(token: str) -> tuple[list[Service], str]:
            request = pb.ListServicesRequest(
                page_size=_PAGE, page_token=token, filter=containing, labels=labels or {}
            )
            answer = await self._wire.call(self._stub.ListServices, request, repeatable=True)
            return [convert.service(each) for each in answer.services], answer.next_page_token

        async for service in pages(page):
            yield service

    async def update(self, name: str, spec: Spec, *, replace: bool = False, if_revision: int = 0) -> Written:
        """Merges `spec` into the service's, or replaces it. `if_revision` refuses a stale write."""
        mode = pb.UpdateServiceRequest.MODE_REPLACE if replace else pb.UpdateServiceRequest.MODE_MERGE
        request = pb.UpdateServiceRequest(
            name=name, spec_json=spec_text(spec), mode=mode, if_revision=if_revision
        )
        answer = await self._wire.call(self._stub.UpdateService, request)
        return Written(convert.service(answer.service), tuple(answer.warnings))

    async def roll_to(self, name: str, version: int) -> Written:
        """Goes back to the spec of an earlier version."""
        request = pb.UpdateServiceRequest(
            name=name, to_version=version, mode=pb.UpdateServiceRequest.MODE_REPLACE
        )
        answer = await self._wire.call(self._stub.UpdateService, request)
        return Written(convert.service(answer.service), tuple(answer.warnings))

    async def delete(self, name: str) -> None:
        await self._wire.call(self._stub.DeleteService, pb.DeleteServiceRequest(name=name))

    async def start(self, name: str) -> Service:
        answer = await self._wire.call(self._stub.StartService, pb.StartServiceRequest(name=name))
        return convert.service(answer.service)

    async def stop(self, name: str) -> Service:
        answer = await self._wire.call(self._stub.StopService, pb.StopServiceRequest(name=name))
        return convert.service(answer.service)

    async def restart(self, name: str) -> Service:
        answer = await self._wire.call(self._stub.RestartService, pb.RestartServiceRequest(name=name))
        return convert.service(answer.service)

    async def scale(self, name: str, instances: int, *, why: str = "") -> Service:
        request = pb.ScaleServiceRequest(name=name, instances=instances, why=why)
        answer = await self._wire.call(self._stub.ScaleService, request)
        return convert.service(answer.service)

    async def versions(self, name: str) -> AsyncIterator[ServiceVersion]:
        """Every version of the service, as the scheduler orders them."""

        async def page(token: str) -> tuple[list[ServiceVersion], str]:
            request = pb.ListServiceVersionsRequest(name=name, page_size=_PAGE, page_token=token)
            answer = await self._wire.call(self._stub.ListServiceVersions, request, repeatable=True)
            return [convert.version(each) for each in answer.versions], answer.next_page_token

        async for version in pages(page):
            yield version

    async def token(self, name: str) -> str:
        """The token that callers of this service present."""
        request = pb.GetServiceTokenRequest(name=name)
        answer = await self._wire.call(self._stub.GetServiceToken, request, repeatable=True)
        return answer.token

    async def watch(self, name: str = "") -> AsyncIterator[ServiceChange]:
        """The state now, one step marked `synced`, then every change; empty `name` watches all.

        A lost scheduler is looked for again. The state is then told anew, and what was deleted
        meanwhile is told as deleted, so that whoever applies the steps in order is always right.
        """
        known: dict[str, Service] = {}
        fresh: dict[str, Service] = {}
        syncing = True

        def request() -> pb.WatchServicesRequest:
            nonlocal syncing
            syncing = True
            fresh.clear()
            return pb.WatchServicesRequest(name=name)

        async for message in self._wire.stream(self._stub.WatchServices, request, again=True):
            change = convert.change(message)
            if change.service is not None:
                into = fresh if syncing else known
                if change.deleted:
                    into.pop(change.service.name, None)
                else:
                    into[change.service.name] = change.service
            elif change.synced:
                for gone in known.keys() - fresh.keys():
                    yield ServiceChange(known[gone], deleted=True)
                known, syncing = dict(fresh), False
            yield change
