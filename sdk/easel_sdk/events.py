"""Events over the admin API."""

from collections.abc import AsyncIterator

from easel.admin.v1 import admin_pb2 as pb
from easel.admin.v1 import admin_pb2_grpc as rpc
from easel_sdk import _convert as convert
from easel_sdk._wire import Wire, pages
from easel_sdk.types import Event

_PAGE = 200


class AsyncEvents:
    """What happened, and why."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._stub = rpc.EventServiceStub(wire.channel)

    async def watch(self, *, service: str = "", subject: str = "", after_id: int = 0) -> AsyncIterator[Event]:
        """Every event after `after_id` (0: from now on), each once, also across a lost scheduler."""
        last = after_id

        def request() -> pb.WatchEventsRequest:
            return pb.WatchEventsRequest(service=service, subject=subject, after_id=last)

        async for message in self._wire.stream(self._stub.WatchEvents, request, again=True):
            last = max(last, message.event.id)
            yield convert.event(message.event)

    async def list(
        self, *, service: str = "", subject: str = "", page_size: int = _PAGE
    ) -> AsyncIterator[Event]:
        """The events of a service or a subject, or all, newest first."""

        async def page(token: str) -> tuple[list[Event], str]:
            request = pb.ListEventsRequest(
                service=service, subject=subject, page_size=page_size, page_token=token
            )
            answer = await self._wire.call(self._stub.ListEvents, request, repeatable=True)
            return [convert.event(each) for each in answer.events], answer.next_page_token

        async for event in pages(page):
            yield event
