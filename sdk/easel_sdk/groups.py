"""Groups of services over the admin API. A member is released and ramped by `services`."""

from collections.abc import AsyncIterator, Iterable, Mapping

from easel.admin.v1 import admin_pb2 as pb
from easel.admin.v1 import admin_pb2_grpc as rpc
from easel_sdk import _convert_traffic as convert
from easel_sdk._wire import Wire, pages
from easel_sdk.types import Group, MemberRule

_PAGE = 200


class AsyncGroups:
    """Services behind one entry. A group is also made by the first member that names it."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._stub = rpc.GroupServiceStub(wire.channel)
        self._tokens = rpc.AccessTokenServiceStub(wire.channel)

    async def create(
        self,
        name: str,
        *,
        traffic_mode: str = "auto",
        labels: Mapping[str, str] | None = None,
        gateway: str = "",
    ) -> Group:
        """One that stays also without members. No `gateway` is the shared one."""
        request = pb.CreateGroupRequest(
            name=name,
            traffic_mode=convert.mode_to_proto(traffic_mode),
            labels=labels or {},
            gateway=gateway,
        )
        return convert.group((await self._wire.call(self._stub.CreateGroup, request)).group)

    async def get(self, name: str) -> Group:
        request = pb.GetGroupRequest(name=name)
        return convert.group((await self._wire.call(self._stub.GetGroup, request, repeatable=True)).group)

    async def list(
        self, *, containing: str = "", labels: Mapping[str, str] | None = None
    ) -> AsyncIterator[Group]:
        """Every group whose name contains `containing` and that carries all `labels`."""

        async def page(token: str) -> tuple[list[Group], str]:
            request = pb.ListGroupsRequest(
                page_size=_PAGE, page_token=token, filter=containing, labels=labels or {}
            )
            answer = await self._wire.call(self._stub.ListGroups, request, repeatable=True)
            return [convert.group(each) for each in answer.groups], answer.next_page_token

        async for group in pages(page):
            yield group

    async def update(
        self,
        name: str,
        *,
        traffic_mode: str | None = None,
        labels: Mapping[str, str] | None = None,
        sticky_header: str | None = None,
        sticky_cookie: str | None = None,
        rules: Iterable[MemberRule] | None = None,
    ) -> Group:
        """Changes what is given: "" removes a label, header or cookie; `rules` replace all there are."""
        request = pb.UpdateGroupRequest(
            name=name,
            traffic_mode=convert.mode_to_proto(traffic_mode),
            labels=labels or {},
            sticky_header=sticky_header,
            sticky_cookie=sticky_cookie,
            rules=convert.rules_to_proto(rules),
        )
        return convert.group((await self._wire.call(self._stub.UpdateGroup, request)).group)

    async def delete(self, name: str, *, cascade: bool = False) -> tuple[str, ...]:
        """Deletes the group; refused while it has members, unless they go with it. Says which have gone."""
        request = pb.DeleteGroupRequest(name=name, cascade=cascade)
        return tuple((await self._wire.call(self._stub.DeleteGroup, request)).deleted_services)

    async def token(self, name: str) -> str:
        """The token that callers of this group present."""
        request = pb.GetAccessTokenRequest(id=f"group:{name}")
        return (await self._wire.call(self._tokens.GetAccessToken, request, repeatable=True)).value
