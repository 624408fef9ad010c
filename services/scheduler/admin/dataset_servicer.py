"""Datasets on the wire."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeAlias

import grpc

from easel.admin.v1 import admin_pb2, admin_pb2_grpc
from libs.db.changes import Changes
from libs.domain.assets import Dataset
from libs.rpc.convert import time_to_proto
from services.scheduler import datasets
from services.scheduler.ledger import Ledger
from services.scheduler.masking import masked
from services.scheduler.paging import page
from services.scheduler.secrets.vault import Vault
from services.scheduler.world import World

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


class DatasetServicer(admin_pb2_grpc.DatasetServiceServicer):
    def __init__(self, ledger: Ledger, vault: Vault, clock: Callable[[], datetime]) -> None:
        self._ledger, self._world, self._vault, self._clock = ledger, ledger.world, vault, clock

    async def CreateDataset(
        self, request: admin_pb2.CreateDatasetRequest, context: Context
    ) -> admin_pb2.CreateDatasetResponse:
        made: list[Dataset] = []

        def decide(world: World) -> Changes:
            now = self._clock()
            dataset = datasets.created(
                world,
                self._vault,
                request.id,
                request.version,
                request.source_json,
                request.description,
                now,
            )
            made[:] = [dataset]
            return datasets.registered(dataset, now)

        await self._ledger.change(decide)
        return admin_pb2.CreateDatasetResponse(dataset=self._views(made)[0])

    async def ListDatasets(
        self, request: admin_pb2.ListDatasetsRequest, context: Context
    ) -> admin_pb2.ListDatasetsResponse:
        every = (each for versions in self._world.datasets.values() for each in versions.values())
        shown, more = page(every, _order, request.page_size, request.page_token)
        return admin_pb2.ListDatasetsResponse(datasets=self._views(shown), next_page_token=more)

    async def DeleteDataset(
        self, request: admin_pb2.DeleteDatasetRequest, context: Context
    ) -> admin_pb2.DeleteDatasetResponse:
        await self._ledger.change(
            lambda world: datasets.deleted(world, request.id, request.version, self._clock())
        )
        return admin_pb2.DeleteDatasetResponse()

    def _views(self, shown: list[Dataset]) -> list[admin_pb2.Dataset]:
        users = datasets.users_of(self._world)
        return [
            admin_pb2.Dataset(
                id=dataset.id,
                version=dataset.version,
                source_json=masked(dataset.source_json),
                description=dataset.description,
                created_at=time_to_proto(dataset.created_at),
                used_by=users.get((dataset.id, dataset.version), ()),
            )
            for dataset in shown
        ]


def _order(dataset: Dataset) -> str:
    """By id, then oldest version first."""
    return f"{dataset.id} {dataset.created_at.isoformat()} {dataset.version}"
