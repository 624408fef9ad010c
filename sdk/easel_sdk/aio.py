"""The asynchronous client."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import grpc.aio

from easel_sdk._wire import Wire
from easel_sdk.access_tokens import AsyncAccessTokens
from easel_sdk.capacity import AsyncCapacity, AsyncUsage
from easel_sdk.context import Context, current_context
from easel_sdk.datasets import AsyncDatasets
from easel_sdk.entries import Entries
from easel_sdk.events import AsyncEvents
from easel_sdk.gateways import AsyncGateways, AsyncRegistries
from easel_sdk.groups import AsyncGroups
from easel_sdk.images import AsyncImages
from easel_sdk.instances import AsyncInstances
from easel_sdk.metrics import AsyncMetrics
from easel_sdk.mirrors import AsyncMirrors
from easel_sdk.nodes import AsyncNodes, AsyncResourceGroups
from easel_sdk.scaling import AsyncAutoscalers, AsyncCronscalers
from easel_sdk.secrets import AsyncSecrets
from easel_sdk.services import AsyncServices
from easel_sdk.tokens import AsyncTokens
from easel_sdk.traffic import AsyncTraffic
from easel_sdk.types import DirectEndpoint, Prediction

if TYPE_CHECKING:
    from easel_sdk.predict import GatewayClient, TokenForm

CALL_DEADLINE = timedelta(seconds=10)
PREDICT_DEADLINE = timedelta(seconds=60)
WATCH_PATIENCE = timedelta(seconds=60)


class AsyncEasel:
    """One Easel: `services`, `instances`, `groups`, `mirrors`, `traffic`, `gateways`, `registries`,
    `access_tokens`, `metrics`, `autoscalers`, `cronscalers`, `capacity`, `usage`, `nodes`, `resource_groups`,
    `secrets`, `datasets`, `images`, `events`, `tokens`, `predict`, `direct`.

    Use it as an async context manager, or call `close`. Nothing is connected before the first call.
    """

    def __init__(
        self,
        scheduler: str,
        token: str,
        *,
        gateway: str = "",
        deadline: timedelta = CALL_DEADLINE,
        watch_patience: timedelta = WATCH_PATIENCE,
        interceptors: tuple[grpc.aio.ClientInterceptor, ...] = (),
    ) -> None:
        """`scheduler` is "host:port"; `gateway` a URL, asked of the scheduler when empty."""
        self._wire = Wire(
            scheduler, token, deadline.total_seconds(), watch_patience.total_seconds(), interceptors
        )
        self.services = AsyncServices(self._wire)
        self.instances = AsyncInstances(self._wire)
        self.groups = AsyncGroups(self._wire)
        self.mirrors = AsyncMirrors(self._wire)
        self.traffic = AsyncTraffic(self._wire)
        self.gateways = AsyncGateways(self._wire)
        self.registries = AsyncRegistries(self._wire)
        self.access_tokens = AsyncAccessTokens(self._wire)
        self.metrics = AsyncMetrics(self._wire)
        self.autoscalers = AsyncAutoscalers(self._wire)
        self.cronscalers = AsyncCronscalers(self._wire)
        self.capacity = AsyncCapacity(self._wire)
        self.usage = AsyncUsage(self._wire)
        self.nodes = AsyncNodes(self._wire)
        self.resource_groups = AsyncResourceGroups(self._wire)
        self.secrets = AsyncSecrets(self._wire)
        self.datasets = AsyncDatasets(self._wire)
        self.images = AsyncImages(self._wire)
        self.events = AsyncEvents(self._wire)
        self.tokens = AsyncTokens(self._wire)
        self._entries = Entries(self.services, self.groups, gateway)
        self._gateway_clients: dict[str, GatewayClient] = {}

    @classmethod
    def from_context(cls, name: str = "", path: Path | None = None) -> Self:
        """The Easel of the context file. Raises `NoContext` when there is none to take."""
        return cls.of(current_context(name, path))

    @classmethod
    def of(cls, context: Context, interceptors: tuple[grpc.aio.ClientInterceptor, ...] = ()) -> Self:
        return cls(context.scheduler, context.token, gateway=context.gateway, interceptors=interceptors)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        for client in self._gateway_clients.values():
            await client.close()
        await self._wire.close()

    async def predict(
        self,
        service: str,
        data: bytes | str = b"",
        *,
        path: str = "",
        headers: Mapping[str, str] | None = None,
        method: str = "POST",
        form: "TokenForm | None" = None,
        deadline: timedelta = PREDICT_DEADLINE,
        token: str | None = None,
    ) -> Prediction:
        """Calls a service through its gateway, whatever status it answers with.

        `service` may also be a group, or "group.service" for one member of it. Its token is asked of the
        scheduler once and kept; after a 401 it is asked again, since it may have been changed. No redirect
        is followed but that of the gateway to the address with TLS that the scheduler knows. Raises
        `NoGateway` and `DeadlineExceeded`.
        """
        from easel_sdk.predict import TokenForm

        gateway = await self._gateway_for(service)
        body = data.encode() if isinstance(data, str) else data
        kept = token is None and self._entries.knows_token(service)
        secret = token if token is not None else await self._entries.token(service)
        while True:
            answer = await gateway.predict(
                service,
                body,
                token=secret,
                path=path,
                headers=headers,
                method=method,
                form=form or TokenForm.PLAIN,
                seconds=deadline.total_seconds(),
            )
            secured = self._entries.secured(service) if answer.status == 308 else ""
            if secured and secured != gateway.gateway:
                gateway = self._client(secured, service)
                continue
            if answer.status != 401 or not kept:
                return answer
            self._entries.forget(service)
            secret, kept = await self._entries.token(service), False

    async def direct(self, service: str) -> tuple[DirectEndpoint, ...]:
        """Where clients that connect directly call the service, as its gateway tells them."""
        return await (await self._gateway_for(service)).upstreams(service)

    async def _gateway_for(self, service: str) -> "GatewayClient":
        return self._client(await self._entries.base(service), service)

    def _client(self, base: str, service: str) -> "GatewayClient":
        from easel_sdk.predict import GatewayClient

        base = base.rstrip("/")
        if base not in self._gateway_clients:
            self._gateway_clients[base] = GatewayClient(base, remedy=self._entries.remedy(service))
        return self._gateway_clients[base]
