"""Image pulls on the wire."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

import grpc

from easel.admin.v1 import admin_pb2, admin_pb2_grpc
from libs.domain.assets import ImagePull
from libs.rpc.convert import time_to_proto
from services.scheduler.images import asking
from services.scheduler.images.states import PullStates, on_nodes
from services.scheduler.ledger import Ledger
from services.scheduler.paging import page
from services.scheduler.secrets.vault import Vault

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class ImageServicer(admin_pb2_grpc.ImageServiceServicer):
    def __init__(
        self, ledger: Ledger, vault: Vault, states: PullStates, clock: Callable[[], datetime]
    ) -> None:
        self._ledger, self._world, self._clock = ledger, ledger.world, clock
        self._vault, self._states = vault, states

    async def PullImage(
        self, request: admin_pb2.PullImageRequest, context: Context
    ) -> admin_pb2.PullImageResponse:
        pull_id = asking.new_id()
        await self._ledger.change(
            lambda world: asking.asked(
                world,
                self._vault,
                pull_id,
                request.image,
                request.resource_group,
                request.docker_auth,
                self._clock(),
            )
        )
        return admin_pb2.PullImageResponse(pull=self._view(self._world.image_pull(pull_id)))

    async def ListImagePulls(
        self, request: admin_pb2.ListImagePullsRequest, context: Context
    ) -> admin_pb2.ListImagePullsResponse:
        pulls = self._world.image_pulls.values()
        shown, more = page(pulls, lambda p: p.id, request.page_size, request.page_token)
        return admin_pb2.ListImagePullsResponse(
            pulls=[self._view(pull) for pull in shown], next_page_token=more
        )

    async def DeleteImagePull(
        self, request: admin_pb2.DeleteImagePullRequest, context: Context
    ) -> admin_pb2.DeleteImagePullResponse:
        await self._ledger.change(lambda world: asking.deleted(world, request.id, self._clock()))
        return admin_pb2.DeleteImagePullResponse()

    def _view(self, pull: ImagePull) -> admin_pb2.ImagePull:
        return admin_pb2.ImagePull(
            id=pull.id,
            image=pull.image,
            resource_group=pull.resource_group,
            created_at=time_to_proto(pull.created_at),
            nodes=[
                admin_pb2.ImagePullOnNode(
                    node=node, done=state.done, failed=state.failed, why=state.why, progress=state.progress
                )
                for node, state in on_nodes(self._world, pull, self._states.states, self._vault)
            ],
        )
