"""Secrets over the admin API: written and listed, never read back."""

from collections.abc import AsyncIterator, Mapping

from easel.admin.v1 import admin_pb2 as pb
from easel.admin.v1 import admin_pb2_grpc as rpc
from easel_sdk import _convert as convert
from easel_sdk._wire import Wire, pages
from easel_sdk.types import Secret

_PAGE = 200


class AsyncSecrets:
    """Named values that service.json refers to as secret://NAME/KEY."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._stub = rpc.SecretServiceStub(wire.channel)

    async def put(self, name: str, values: Mapping[str, str], *, replace: bool = False) -> Secret:
        """Sets these keys; an empty value removes one. Other keys stay, unless `replace`."""
        request = pb.PutSecretRequest(name=name, values=values, replace=replace)
        return convert.secret((await self._wire.call(self._stub.PutSecret, request)).secret)

    async def delete(self, name: str) -> None:
        await self._wire.call(self._stub.DeleteSecret, pb.DeleteSecretRequest(name=name))

    async def list(self) -> AsyncIterator[Secret]:
        """Every secret: its keys, and which services use it."""

        async def page(token: str) -> tuple[list[Secret], str]:
            request = pb.ListSecretsRequest(page_size=_PAGE, page_token=token)
            answer = await self._wire.call(self._stub.ListSecrets, request, repeatable=True)
            return [convert.secret(each) for each in answer.secrets], answer.next_page_token

        async for secret in pages(page):
            yield secret
