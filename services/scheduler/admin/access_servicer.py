"""Access tokens on the wire: what opens services and groups to their callers."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import grpc

from easel.admin.v1 import admin_pb2, admin_pb2_grpc
from libs.db.changes import Changes
from libs.domain.traffic import AccessToken
from libs.rpc.convert import span_from_proto, time_to_proto
from services.scheduler.access import rules
from services.scheduler.access.last_used import LastUsed
from services.scheduler.ledger import Ledger
from services.scheduler.paging import page
from services.scheduler.world import World

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
_OVERLAP = timedelta(hours=1)


class AccessTokenServicer(admin_pb2_grpc.AccessTokenServiceServicer):
    def __init__(self, ledger: Ledger, used: LastUsed, clock: Callable[[], datetime]) -> None:
        self._ledger, self._world, self._used, self._clock = ledger, ledger.world, used, clock

    async def CreateAccessToken(
        self, request: admin_pb2.CreateAccessTokenRequest, context: Context
    ) -> admin_pb2.CreateAccessTokenResponse:
        valid_for = span_from_proto(request, "valid_for")
        made: list[AccessToken] = []

        def decide(world: World) -> Changes:
            now = self._clock()
            owner = rules.owner_of(world, request.service, request.group)
            made[:] = [rules.created(world, owner, request.name, request.value, valid_for, now)]
            return rules.creation(made[0], now)

        await self._ledger.change(decide)
        return admin_pb2.CreateAccessTokenResponse(token=self._shown(made[0]), value=made[0].value)

    async def ListAccessTokens(
        self, request: admin_pb2.ListAccessTokensRequest, context: Context
    ) -> admin_pb2.ListAccessTokensResponse:
        owner = rules.owner_of(self._world, request.service, request.group)
        tokens = rules.tokens_of(self._world, owner)
        shown, more = page(tokens, _order, request.page_size, request.page_token)
        return admin_pb2.ListAccessTokensResponse(
            tokens=[self._shown(each) for each in shown], next_page_token=more
        )

    async def GetAccessToken(
        self, request: admin_pb2.GetAccessTokenRequest, context: Context
    ) -> admin_pb2.GetAccessTokenResponse:
        token = rules.token_by_id(self._world, request.id)
        return admin_pb2.GetAccessTokenResponse(token=self._shown(token), value=token.value)

    async def RotateAccessToken(
        self, request: admin_pb2.RotateAccessTokenRequest, context: Context
    ) -> admin_pb2.RotateAccessTokenResponse:
        asked = span_from_proto(request, "overlap")
        overlap = _OVERLAP if asked is None else asked
        made: list[rules.Rotated] = []

        def decide(world: World) -> Changes:
            made[:] = [rules.rotated(world, request.id, overlap, self._clock())]
            return made[0].changes

        await self._ledger.change(decide)
        after, before = made[0].after, made[0].before
        return admin_pb2.RotateAccessTokenResponse(
            token=self._shown(after), value=after.value, before=self._shown(before) if overlap else None
        )

    async def DeleteAccessToken(
        self, request: admin_pb2.DeleteAccessTokenRequest, context: Context
    ) -> admin_pb2.DeleteAccessTokenResponse:
        await self._ledger.change(lambda world: rules.deleted(world, request.id, self._clock()))
        return admin_pb2.DeleteAccessTokenResponse()

    def _shown(self, token: AccessToken) -> admin_pb2.AccessToken:
        return admin_pb2.AccessToken(
            id=token.id,
            service=token.owner if token.owner_kind == "service" else "",
            group=token.owner if token.owner_kind == "group" else "",
            name=token.name,
            created_at=time_to_proto(token.created_at),
            expires_at=time_to_proto(token.expires_at),
            last_used_at=time_to_proto(self._used.at(token)),
        )


def _order(token: AccessToken) -> str:
    """The first one before the others."""
    return f"{token.name != rules.DEFAULT} {token.name} {token.id}"
