"""Access tokens over the admin API: what callers of services and groups present."""

from collections.abc import AsyncIterator
from datetime import timedelta

from easel.admin.v1 import admin_pb2 as pb
from easel.admin.v1 import admin_pb2_grpc as rpc
from easel_sdk import _convert_traffic as convert
from easel_sdk._wire import Wire, pages
from easel_sdk.types import AccessToken, NewAccessToken

_PAGE = 200


class AsyncAccessTokens:
    """Several may open a service or a group at once; the one each has from the start is named "default".

    Its id is "service:NAME" or "group:NAME".
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._stub = rpc.AccessTokenServiceStub(wire.channel)

    async def create(
        self,
        name: str,
        *,
        service: str = "",
        group: str = "",
        valid_for: timedelta | None = None,
        value: str = "",
    ) -> NewAccessToken:
        """A further one, of a service or of a group; without `valid_for` it does not expire."""
        request = pb.CreateAccessTokenRequest(
            service=service,
            group=group,
            name=name,
            valid_for=convert.length_to_proto(valid_for),
            value=value,
        )
        answer = await self._wire.call(self._stub.CreateAccessToken, request)
        return NewAccessToken(convert.access_token(answer.token), answer.value)

    async def get(self, token_id: str) -> NewAccessToken:
        """One with its value."""
        request = pb.GetAccessTokenRequest(id=token_id)
        answer = await self._wire.call(self._stub.GetAccessToken, request, repeatable=True)
        return NewAccessToken(convert.access_token(answer.token), answer.value)

    async def rotate(self, token_id: str, *, overlap: timedelta | None = None) -> NewAccessToken:
        """Gives the name a new value; the one before stays valid for `overlap`, an hour unless told."""
        request = pb.RotateAccessTokenRequest(id=token_id, overlap=convert.length_to_proto(overlap))
        answer = await self._wire.call(self._stub.RotateAccessToken, request)
        before = convert.access_token(answer.before) if answer.HasField("before") else None
        return NewAccessToken(convert.access_token(answer.token), answer.value, before)

    async def delete(self, token_id: str) -> None:
        """Whoever presents it is shut out at once."""
        await self._wire.call(self._stub.DeleteAccessToken, pb.DeleteAccessTokenRequest(id=token_id))

    async def list(self, *, service: str = "", group: str = "") -> AsyncIterator[AccessToken]:
        """Those of a service, of a group, or of all; never with their values."""

        async def page(token: str) -> tuple[list[AccessToken], str]:
            request = pb.ListAccessTokensRequest(
                service=service, group=group, page_size=_PAGE, page_token=token
            )
            answer = await self._wire.call(self._stub.ListAccessTokens, request, repeatable=True)
            return [convert.access_token(each) for each in answer.tokens], answer.next_page_token

        async for token in pages(page):
            yield token
