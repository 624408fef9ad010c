"""Tokens of the admin API itself; a service's own token is `services.token(name)`."""

from collections.abc import AsyncIterator

from easel.admin.v1 import admin_pb2 as pb
from easel.admin.v1 import admin_pb2_grpc as rpc
from easel_sdk import _convert as convert
from easel_sdk._wire import Wire, pages
from easel_sdk.types import NewToken, Token

_PAGE = 200


class AsyncTokens:
    """Credentials: role "admin" opens the admin API, "join" lets agents and gateways in."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._stub = rpc.TokenServiceStub(wire.channel)

    async def create(self, name: str, *, role: str = "admin") -> NewToken:
        """The only time the secret can be read."""
        request = pb.CreateTokenRequest(name=name, role=role)
        answer = await self._wire.call(self._stub.CreateToken, request)
        return NewToken(convert.token(answer.token), answer.secret)

    async def delete(self, token_id: str) -> None:
        await self._wire.call(self._stub.DeleteToken, pb.DeleteTokenRequest(id=token_id))

    async def list(self) -> AsyncIterator[Token]:
        async def page(token: str) -> tuple[list[Token], str]:
            request = pb.ListTokensRequest(page_size=_PAGE, page_token=token)
            answer = await self._wire.call(self._stub.ListTokens, request, repeatable=True)
            return [convert.token(each) for each in answer.tokens], answer.next_page_token

        async for token in pages(page):
            yield token
