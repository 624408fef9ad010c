"""Mirrors over the admin API: copies of a service's requests for other services."""

from collections.abc import AsyncIterator, Iterable

from easel.admin.v1 import admin_pb2 as pb
from easel.admin.v1 import admin_pb2_grpc as rpc
from easel_sdk import _convert_traffic as convert
from easel_sdk._wire import Wire, pages
from easel_sdk.types import Mirror

_PAGE = 200


class AsyncMirrors:
    """A service has at most one mirror, of any number of targets; their answers are thrown away."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._stub = rpc.TrafficServiceStub(wire.channel)

    async def put(self, service: str, targets: Iterable[str], *, ratio: int, compare: float = 0.0) -> Mirror:
        """Copies `ratio` of a hundred requests to each target, in place of what was copied before.

        `compare` is the share of requests, from 0 to 1, whose answers are compared with the targets'.
        """
        request = pb.PutMirrorRequest(service=service, targets=targets, ratio=ratio, compare=compare)
        return convert.mirror((await self._wire.call(self._stub.PutMirror, request)).mirror)

    async def get(self, service: str) -> Mirror:
        """The mirror of this service with what its comparisons found."""
        request = pb.GetMirrorRequest(service=service)
        return convert.mirror((await self._wire.call(self._stub.GetMirror, request, repeatable=True)).mirror)

    async def delete(self, service: str) -> None:
        await self._wire.call(self._stub.DeleteMirror, pb.DeleteMirrorRequest(service=service))

    async def list(self) -> AsyncIterator[Mirror]:
        async def page(token: str) -> tuple[list[Mirror], str]:
            request = pb.ListMirrorsRequest(page_size=_PAGE, page_token=token)
            answer = await self._wire.call(self._stub.ListMirrors, request, repeatable=True)
            return [convert.mirror(each) for each in answer.mirrors], answer.next_page_token

        async for mirror in pages(page):
            yield mirror
