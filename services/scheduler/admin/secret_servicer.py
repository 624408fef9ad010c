"""Secrets on the wire. Their values come in and never go out."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

import grpc

from easel.admin.v1 import admin_pb2, admin_pb2_grpc
from libs.domain.assets import Secret
from libs.rpc.convert import time_to_proto
from services.scheduler.ledger import Ledger
from services.scheduler.paging import page
from services.scheduler.secrets import rules
from services.scheduler.secrets.vault import Vault
from services.scheduler.secrets.wants import UNREADABLE

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class SecretServicer(admin_pb2_grpc.SecretServiceServicer):
    def __init__(self, ledger: Ledger, vault: Vault, clock: Callable[[], datetime]) -> None:
        self._ledger, self._world, self._vault, self._clock = ledger, ledger.world, vault, clock

    async def PutSecret(
        self, request: admin_pb2.PutSecretRequest, context: Context
    ) -> admin_pb2.PutSecretResponse:
        values = dict(request.values)
        await self._ledger.change(
            lambda world: rules.put(world, self._vault, request.name, values, request.replace, self._clock())
        )
        return admin_pb2.PutSecretResponse(secret=self._views([self._world.secret(request.name)])[0])

    async def ListSecrets(
        self, request: admin_pb2.ListSecretsRequest, context: Context
    ) -> admin_pb2.ListSecretsResponse:
        secrets = self._world.secrets.values()
        shown, more = page(secrets, lambda s: s.name, request.page_size, request.page_token)
        return admin_pb2.ListSecretsResponse(secrets=self._views(shown), next_page_token=more)

    async def DeleteSecret(
        self, request: admin_pb2.DeleteSecretRequest, context: Context
    ) -> admin_pb2.DeleteSecretResponse:
        await self._ledger.change(lambda world: rules.deleted(world, request.name, self._clock()))
        return admin_pb2.DeleteSecretResponse()

    def _views(self, secrets: list[Secret]) -> list[admin_pb2.Secret]:
        users = rules.users_by_secret(rules.users_of(self._world))
        return [
            admin_pb2.Secret(
                name=secret.name,
                keys=secret.keys,
                created_at=time_to_proto(secret.created_at),
                updated_at=time_to_proto(secret.updated_at),
                used_by=users.get(secret.name, ()),
                why="" if self._vault.values(secret.name) is not None else UNREADABLE,
            )
            for secret in secrets
        ]
