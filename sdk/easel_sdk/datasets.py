"""Datasets over the admin API."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from easel.admin.v1 import admin_pb2 as pb
from easel.admin.v1 import admin_pb2_grpc as rpc
from easel_sdk import _convert as convert
from easel_sdk._wire import Wire, pages
from easel_sdk.types import Dataset

_PAGE = 200


class AsyncDatasets:
    """Registered sources of files. A version of one never changes."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._stub = rpc.DatasetServiceStub(wire.channel)

    async def create(
        self,
        dataset_id: str,
        source: str | Mapping[str, Any],
        *,
        version: str = "",
        description: str = "",
    ) -> Dataset:
        """Registers an entry of storage[] without its mount_path. No `version` takes the next number."""
        request = pb.CreateDatasetRequest(
            id=dataset_id,
            version=version,
            source_json=source if isinstance(source, str) else json.dumps(source),
            description=description,
        )
        return convert.dataset((await self._wire.call(self._stub.CreateDataset, request)).dataset)

    async def delete(self, dataset_id: str, version: str) -> None:
        request = pb.DeleteDatasetRequest(id=dataset_id, version=version)
        await self._wire.call(self._stub.DeleteDataset, request)

    async def list(self) -> AsyncIterator[Dataset]:
        """Every version of every dataset."""

        async def page(token: str) -> tuple[list[Dataset], str]:
            request = pb.ListDatasetsRequest(page_size=_PAGE, page_token=token)
            answer = await self._wire.call(self._stub.ListDatasets, request, repeatable=True)
            return [convert.dataset(each) for each in answer.datasets], answer.next_page_token

        async for dataset in pages(page):
            yield dataset
