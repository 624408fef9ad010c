"""Gateways, registries and access tokens of the in-memory admin API."""

from datetime import UTC, datetime, timedelta

from easel.admin.v1 import admin_pb2 as pb
from easel.admin.v1 import admin_pb2_grpc as rpc
from libs.domain.errors import AlreadyExists, FailedPrecondition, InvalidRequest, NotFound
from tests.support.fake_admin import now
from tests.support.fake_admin_pages import Servicer
from tests.support.fake_admin_traffic import group_of


class Gateways(Servicer, rpc.GatewayServiceServicer):
    def _gateway(self, name: str) -> pb.Gateway:
        if name not in self.fake.traffic.gateways:
            raise NotFound(f"no gateway named {name!r}")
        return self.fake.traffic.gateways[name]

    async def CreateGateway(self, request, context):
        name = request.gateway.name
        if name in self.fake.traffic.gateways:
            raise AlreadyExists(f"a gateway named {name!r} exists")
        made = pb.Gateway()
        made.CopyFrom(request.gateway)
        made.created_at.CopyFrom(now())
        made.connected = bool(made.host)
        made.envoys = int(made.connected and not self.fake.traffic.gateway_why)
        made.why = self.fake.traffic.gateway_why if made.host else "it has not connected yet"
        self.fake.traffic.gateways[name] = made
        return pb.CreateGatewayResponse(gateway=made)

    async def GetGateway(self, request, context):
        return pb.GetGatewayResponse(gateway=self._gateway(request.name))

    async def ListGateways(self, request, context):
        kept = [each for each in self.fake.traffic.gateways.values() if request.with_nodes or not each.node]
        gateways, token = self.page(kept, request)
        return pb.ListGatewaysResponse(gateways=gateways, next_page_token=token)

    async def UpdateGateway(self, request, context):
        gateway = self._gateway(request.gateway.name)
        self.fake.traffic.gateway_updates.append(request)
        wanted = pb.Gateway()
        wanted.CopyFrom(request.gateway)
        for field in request.fields:
            if field not in pb.Gateway.DESCRIPTOR.fields_by_name:
                raise InvalidRequest("fields", field, "a field of a gateway")
            gateway.ClearField(field)
        for field in {each.name for each, _ in wanted.ListFields()} - set(request.fields):
            wanted.ClearField(field)
        gateway.MergeFrom(wanted)
        return pb.UpdateGatewayResponse(gateway=gateway)

    async def DeleteGateway(self, request, context):
        if count := self._gateway(request.name).services:
            raise FailedPrecondition(f"{count} services are on gateway {request.name}; move them first")
        del self.fake.traffic.gateways[request.name]
        return pb.DeleteGatewayResponse()

    async def PutRegistry(self, request, context):
        self.fake.traffic.registries[request.registry.id] = request.registry
        return pb.PutRegistryResponse(registry=request.registry)

    async def ListRegistries(self, request, context):
        registries, token = self.page(list(self.fake.traffic.registries.values()), request)
        return pb.ListRegistriesResponse(registries=registries, next_page_token=token)

    async def DeleteRegistry(self, request, context):
        if request.id not in self.fake.traffic.registries:
            raise NotFound(f"no registry named {request.id!r}")
        del self.fake.traffic.registries[request.id]
        return pb.DeleteRegistryResponse()


class AccessTokens(Servicer, rpc.AccessTokenServiceServicer):
    """Every service and group has one named "default"; the value of a group's is "token-of-" and its name."""

    def _one(self, token_id: str) -> tuple[pb.AccessToken, str]:
        kept = self.fake.traffic.tokens
        if token_id in kept:
            return kept[token_id], self.fake.traffic.values[token_id]
        kind, _, owner = token_id.partition(":")
        if kind == "group":
            name = group_of(self.fake, owner).name
            return pb.AccessToken(id=token_id, group=name, name="default"), f"token-of-{name}"
        if kind == "service" and owner in self.fake.services:
            return pb.AccessToken(id=token_id, service=owner, name="default"), f"token-of-{owner}"
        raise NotFound(f"no access token {token_id!r}")

    def _add(self, token: pb.AccessToken, value: str) -> pb.AccessToken:
        token.id = f"at-{len(self.fake.traffic.values) + 1}"
        token.created_at.CopyFrom(now())
        self.fake.traffic.tokens[token.id], self.fake.traffic.values[token.id] = token, value
        return token

    async def CreateAccessToken(self, request, context):
        token = pb.AccessToken(service=request.service, group=request.group, name=request.name)
        if request.HasField("valid_for"):
            token.expires_at.FromDatetime(datetime.now(UTC) + request.valid_for.ToTimedelta())
        value = request.value or f"value-of-{request.name}"
        return pb.CreateAccessTokenResponse(token=self._add(token, value), value=value)

    async def ListAccessTokens(self, request, context):
        owner = f"group:{request.group}" if request.group else f"service:{request.service}"
        kept = [
            each
            for each in self.fake.traffic.tokens.values()
            if (each.service, each.group) == (request.service, request.group) and each.name != "default"
        ]
        tokens, token = self.page([self._one(owner)[0], *kept], request)
        return pb.ListAccessTokensResponse(tokens=tokens, next_page_token=token)

    async def GetAccessToken(self, request, context):
        token, value = self._one(request.id)
        return pb.GetAccessTokenResponse(token=token, value=value)

    async def RotateAccessToken(self, request, context):
        before, value = self._one(request.id)
        old = pb.AccessToken()
        old.CopyFrom(before)
        overlap = request.overlap.ToTimedelta() if request.HasField("overlap") else None
        ends_now = overlap is not None and not overlap
        if not ends_now:
            self._add(old, value)
            old.expires_at.FromDatetime(datetime.now(UTC) + (overlap or timedelta(hours=1)))
        self.fake.traffic.tokens[request.id], self.fake.traffic.values[request.id] = before, f"new-{value}"
        return pb.RotateAccessTokenResponse(
            token=before, value=f"new-{value}", before=None if ends_now else old
        )

    async def DeleteAccessToken(self, request, context):
        self._one(request.id)
        del self.fake.traffic.tokens[request.id]
        return pb.DeleteAccessTokenResponse()
