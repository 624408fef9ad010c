"""Images that nodes are to have before an instance asks for them, over the admin API."""

from collections.abc import AsyncIterator

from easel.admin.v1 import admin_pb2 as pb
from easel.admin.v1 import admin_pb2_grpc as rpc
from easel_sdk import _convert as convert
from easel_sdk._wire import Wire, pages
from easel_sdk.types import ImagePull

_PAGE = 200


class AsyncImages:
    """Images that every node of a resource group is to have, also nodes that join later."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._stub = rpc.ImageServiceStub(wire.channel)

    async def pull(self, image: str, *, resource_group: str, docker_auth: str = "") -> ImagePull:
        """`docker_auth` is base64 of user:password, or secret://NAME/KEY of it."""
        request = pb.PullImageRequest(image=image, resource_group=resource_group, docker_auth=docker_auth)
        return convert.image_pull((await self._wire.call(self._stub.PullImage, request)).pull)

    async def delete(self, pull_id: str) -> None:
        """Nodes keep the image; those that join later are not asked to pull it."""
        await self._wire.call(self._stub.DeleteImagePull, pb.DeleteImagePullRequest(id=pull_id))

    async def list(self) -> AsyncIterator[ImagePull]:
        """Every image that was asked for, with how far each node is."""

        async def page(token: str) -> tuple[list[ImagePull], str]:
            request = pb.ListImagePullsRequest(page_size=_PAGE, page_token=token)
            answer = await self._wire.call(self._stub.ListImagePulls, request, repeatable=True)
            return [convert.image_pull(each) for each in answer.pulls], answer.next_page_token

        async for pull in pages(page):
            yield pull
