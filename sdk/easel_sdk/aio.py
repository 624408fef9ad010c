"""The asynchronous client."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import grpc.aio

from easel_sdk._wire import Wire
from easel_sdk.context import Context, current_context
from easel_sdk.datasets import AsyncDatasets
from easel_sdk.errors import NoGateway
from easel_sdk.events import AsyncEvents
from easel_sdk.images import AsyncImages
from easel_sdk.instances import AsyncInstances
from easel_sdk.nodes import AsyncNodes, AsyncResourceGroups
from easel_sdk.secrets import AsyncSecrets
from easel_sdk.services import AsyncServices
from easel_sdk.tokens import AsyncTokens
from easel_sdk.types import Prediction

if TYPE_CHECKING:
    from easel_sdk.predict import GatewayClient, TokenForm

CALL_DEADLINE = timedelta(seconds=10)
PREDICT_DEADLINE = timedelta(seconds=60)
WATCH_PATIENCE = timedelta(seconds=60)


class AsyncEasel:
    """One Easel: `services`, `instances`, `nodes`, `resource_groups`, `secrets`, `datasets`, `images`,
    `events`, `tokens`, `predict`.

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
        self.nodes = AsyncNodes(self._wire)
        self.resource_groups = AsyncResourceGroups(self._wire)
        self.secrets = AsyncSecrets(self._wire)
        self.datasets = AsyncDatasets(self._wire)
        self.images = AsyncImages(self._wire)
        self.events = AsyncEvents(self._wire)
        self.tokens = AsyncTokens(self._wire)
        self._gateway = gateway
        self._gateway_client: GatewayClient | None = None
        self._tokens: dict[str, str] = {}

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
        if self._gateway_client is not None:
            await self._gateway_client.close()
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
        """Calls a service through the gateway, whatever status it answers with.

        The service's token is asked of the scheduler once and kept; after a 401 it is asked again,
        since it may have been changed. Raises `NoGateway` and `DeadlineExceeded`.
        """
        from easel_sdk.predict import TokenForm

        gateway = await self._gateway_for(service)
        body = data.encode() if isinstance(data, str) else data
        kept = token is None and service in self._tokens
        secret = token if token is not None else await self._token_of(service)
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
            if answer.status != 401 or not kept:
                return answer
            self._tokens.pop(service, None)
            secret, kept = await self._token_of(service), False

    async def _token_of(self, service: str) -> str:
        if service not in self._tokens:
            self._tokens[service] = await self.services.token(service)
        return self._tokens[service]

    async def _gateway_for(self, service: str) -> "GatewayClient":
        if self._gateway_client is None:
            from easel_sdk.predict import GatewayClient

            base = self._gateway or (await self.services.get(service)).endpoint.partition("/api/")[0]
            if not base:
                raise NoGateway("an address the scheduler knows")
            self._gateway_client = GatewayClient(base)
        return self._gateway_client
