"""Events on the wire."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, TypeAlias

import grpc

from easel.admin.v1 import admin_pb2, admin_pb2_grpc
from libs.db.store import Store
from libs.domain.records import Event
from services.scheduler.admin.watching import new_events
from services.scheduler.convert import event_to_proto
from services.scheduler.ledger import Ledger
from services.scheduler.paging import event_page

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
_CATCH_UP = 1000


class EventServicer(admin_pb2_grpc.EventServiceServicer):
    def __init__(self, ledger: Ledger, store: Store, stop: asyncio.Event) -> None:
        self._ledger, self._store, self._stop = ledger, store, stop

    async def ListEvents(
        self, request: admin_pb2.ListEventsRequest, context: Context
    ) -> admin_pb2.ListEventsResponse:
        found = partial(self._store.events, service=request.service, subject=request.subject)
        shown, more = await event_page(found, request.page_size, request.page_token)
        return admin_pb2.ListEventsResponse(events=map(event_to_proto, shown), next_page_token=more)

    async def WatchEvents(
        self, request: admin_pb2.WatchEventsRequest, context: Context
    ) -> AsyncIterator[admin_pb2.WatchEventsResponse]:
        def wanted(event: Event) -> bool:
            return request.service in ("", event.service) and request.subject in ("", event.subject)

        live = new_events(self._ledger, wanted, self._stop)
        following = asyncio.ensure_future(anext(live, None))
        # Subscribed before the past is read, so that nothing falls in between.
        await asyncio.sleep(0)
        seen = request.after_id
        try:
            async for event in self._past(request):
                seen = event.id
                yield admin_pb2.WatchEventsResponse(event=event_to_proto(event))
            while (told := await following) is not None:
                following = asyncio.ensure_future(anext(live, None))
                if told.id > seen:
                    yield admin_pb2.WatchEventsResponse(event=event_to_proto(told))
        finally:
            following.cancel()

    async def _past(self, request: admin_pb2.WatchEventsRequest) -> AsyncIterator[Event]:
        after = request.after_id
        while after:
            rows = await self._store.events(
                service=request.service, subject=request.subject, after_id=after, limit=_CATCH_UP
            )
            for row in rows:
                yield row
            after = rows[-1].id if len(rows) == _CATCH_UP else 0
