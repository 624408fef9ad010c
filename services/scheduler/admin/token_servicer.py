"""Tokens of the admin API and of the agent link on the wire."""

import secrets
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

import grpc

from easel.admin.v1 import admin_pb2, admin_pb2_grpc
from libs.db.changes import Changes
from libs.domain.errors import FailedPrecondition, InvalidRequest, NotFound
from libs.domain.records import Token
from libs.domain.states import TokenRole
from services.scheduler.convert import token_to_proto
from services.scheduler.ledger import Ledger
from services.scheduler.paging import page
from services.scheduler.tokens import fingerprint, new_secret
from services.scheduler.world import World

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class TokenServicer(admin_pb2_grpc.TokenServiceServicer):
    def __init__(self, ledger: Ledger, clock: Callable[[], datetime]) -> None:
        self._ledger, self._clock = ledger, clock

    async def CreateToken(
        self, request: admin_pb2.CreateTokenRequest, context: Context
    ) -> admin_pb2.CreateTokenResponse:
        secret = new_secret()
        token = Token(
            f"tok-{secrets.token_hex(4)}",
            request.name or "unnamed",
            role_named(request.role),
            fingerprint(secret),
            self._clock(),
        )
        await self._ledger.change(lambda _world: Changes(put=(token,)))
        return admin_pb2.CreateTokenResponse(token=token_to_proto(token), secret=secret)

    async def ListTokens(
        self, request: admin_pb2.ListTokensRequest, context: Context
    ) -> admin_pb2.ListTokensResponse:
        tokens = self._ledger.world.tokens.values()
        shown, more = page(tokens, lambda t: t.id, request.page_size, request.page_token)
        return admin_pb2.ListTokensResponse(
            tokens=[token_to_proto(token) for token in shown], next_page_token=more
        )

    async def DeleteToken(
        self, request: admin_pb2.DeleteTokenRequest, context: Context
    ) -> admin_pb2.DeleteTokenResponse:
        await self._ledger.change(lambda world: token_deleted(world, request.id))
        return admin_pb2.DeleteTokenResponse()


def role_named(role: str) -> TokenRole:
    """Raises InvalidRequest."""
    try:
        return TokenRole(role or "admin")
    except ValueError as wrong:
        raise InvalidRequest("role", role, "admin or join") from wrong


def token_deleted(world: World, token_id: str) -> Changes:
    """Raises NotFound, and FailedPrecondition for the last admin token."""
    token = world.tokens.get(token_id)
    if token is None:
        raise NotFound(f"there is no token {token_id!r}")
    others = (t for t in world.tokens.values() if t.role is TokenRole.ADMIN and t != token)
    if token.role is TokenRole.ADMIN and next(others, None) is None:
        raise FailedPrecondition("this is the last admin token; create another one first")
    return Changes(delete=(token,))
