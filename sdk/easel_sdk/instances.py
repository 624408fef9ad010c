"""Instances over the admin API."""

from collections.abc import AsyncIterator

from easel.admin.v1 import admin_pb2 as pb
from easel.admin.v1 import admin_pb2_grpc as rpc
from easel_sdk import _convert as convert
from easel_sdk._wire import Wire, pages
from easel_sdk.types import Finding, Instance

_PAGE = 200


class AsyncInstances:
    """The running copies of services, and what they write."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._stub = rpc.InstanceServiceStub(wire.channel)

    async def get(self, instance_id: str) -> Instance:
        request = pb.GetInstanceRequest(id=instance_id)
        answer = await self._wire.call(self._stub.GetInstance, request, repeatable=True)
        return convert.instance(answer.instance)

    async def delete(self, instance_id: str) -> None:
        """Replaces one instance: a new one is ready first, then it is drained and stopped."""
        await self._wire.call(self._stub.DeleteInstance, pb.DeleteInstanceRequest(id=instance_id))

    async def restart(self, instance_id: str) -> Instance:
        """Starts the program anew in the same instance, out of traffic first; nothing is fetched again."""
        request = pb.RestartInstanceRequest(id=instance_id)
        return convert.instance((await self._wire.call(self._stub.RestartInstance, request)).instance)

    async def isolate(self, instance_id: str, *, isolated: bool = True, why: str = "") -> Instance:
        """Takes the instance out of traffic and keeps it as it is, or puts it back."""
        request = pb.IsolateInstanceRequest(id=instance_id, isolated=isolated, why=why)
        return convert.instance((await self._wire.call(self._stub.IsolateInstance, request)).instance)

    async def detach(self, instance_id: str, *, why: str = "") -> Instance:
        """Takes the instance out of traffic for ever; another takes its place. It stays until deleted."""
        request = pb.DetachInstanceRequest(id=instance_id, why=why)
        return convert.instance((await self._wire.call(self._stub.DetachInstance, request)).instance)

    async def diagnose(self, instance_id: str) -> tuple[Finding, ...]:
        """What is wrong with the instance, errors first; empty when nothing is."""
        request = pb.DiagnoseInstanceRequest(id=instance_id)
        answer = await self._wire.call(self._stub.DiagnoseInstance, request, repeatable=True)
        return tuple(convert.finding(each) for each in answer.findings)

    async def logs(self, instance_id: str, *, follow: bool = False, tail: int = 100) -> AsyncIterator[bytes]:
        """What the instance wrote, from `tail` lines before the end, in pieces as they come."""
        request = pb.StreamInstanceLogsRequest(id=instance_id, follow=follow, tail=tail)
        stream = self._wire.stream(self._stub.StreamInstanceLogs, lambda: request, again=False)
        async for piece in stream:
            yield piece.text

    async def list(self, *, service: str = "", node: str = "") -> AsyncIterator[Instance]:
        """Every instance, or those of one service or on one node."""

        async def page(token: str) -> tuple[list[Instance], str]:
            request = pb.ListInstancesRequest(service=service, node=node, page_size=_PAGE, page_token=token)
            answer = await self._wire.call(self._stub.ListInstances, request, repeatable=True)
            return [convert.instance(each) for each in answer.instances], answer.next_page_token

        async for instance in pages(page):
            yield instance
