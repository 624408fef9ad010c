"""The delta stream that Envoys open, and the list of those that are connected."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

from envoy.service.discovery.v3 import ads_pb2_grpc, discovery_pb2
from google.protobuf.any_pb2 import Any as AnyMessage

from services.gateway.ads.messages import Refusal, Request, Response
from services.gateway.ads.store import ResourceStore
from services.gateway.ads.view import EnvoyView
from services.gateway.xds.resource import Key

log = logging.getLogger(__name__)
ADS_SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"


class Envoys:
    """The Envoys that are connected now; tells `progressed` when one has acknowledged something."""

    def __init__(
        self,
        store: ResourceStore,
        progressed: Callable[[], None],
        refused: Callable[[Refusal], None],
    ) -> None:
        self._store, self._progressed, self._refused = store, progressed, refused
        self._connected: dict[EnvoyView, asyncio.Event] = {}

    def __len__(self) -> int:
        return len(self._connected)

    def changed(self, keys: list[Key]) -> None:
        """Passes on what differs; each stream sends it as soon as it can, all that is pending at once."""
        for view, wake in self._connected.items():
            view.changed(keys)
            wake.set()

    def applied(self) -> int:
        """The newest change that every connected Envoy has in force; -1 with none connected."""
        return min((view.applied() for view in self._connected), default=-1)

    def have(self, keys: Iterable[Key]) -> bool:
        """Whether every connected Envoy has the newest of what there is under these keys; not with none."""
        named = frozenset(keys)
        return bool(self._connected) and all(view.has(named) for view in self._connected)

    async def stream(self, requests: AsyncIterator[Request]) -> AsyncIterator[Response]:
        """Speaks with one Envoy until it goes away."""
        view, wake = EnvoyView(self._store), asyncio.Event()
        self._connected[view] = wake
        reading = asyncio.create_task(self._read(requests, view, wake))
        log.info("an Envoy connected", extra={"envoys": len(self)})
        try:
            while not reading.done():
                due = view.responses()
                for response in due:
                    yield response
                if not due:
                    # What is sent counts as progress when it is answered; what waits in vain gets no answer.
                    self._progressed()
                await wake.wait()
                wake.clear()
        finally:
            del self._connected[view]
            reading.cancel()
            await asyncio.wait((reading,))
            log.info("an Envoy went away", extra={"envoys": len(self)})
            self._progressed()
            if not reading.cancelled():
                reading.result()

    async def _read(self, requests: AsyncIterator[Request], view: EnvoyView, wake: asyncio.Event) -> None:
        try:
            async for request in requests:
                for refusal in view.receive(request):
                    self._refused(refusal)
                wake.set()
                if request.nonce:
                    self._progressed()
        finally:
            wake.set()


class AdsServicer(ads_pb2_grpc.AggregatedDiscoveryServiceServicer):  # type: ignore[misc]
    """Translates Envoy's delta protocol."""

    def __init__(self, envoys: Envoys) -> None:
        self._envoys = envoys

    async def DeltaAggregatedResources(
        self, requests: AsyncIterator[Any], _context: Any
    ) -> AsyncIterator[Any]:
        async for response in self._envoys.stream(_from_proto(requests)):
            yield _to_proto(response)


async def _from_proto(messages: AsyncIterator[Any]) -> AsyncIterator[Request]:
    async for message in messages:
        yield Request(
            type_url=message.type_url,
            subscribe=tuple(message.resource_names_subscribe),
            unsubscribe=tuple(message.resource_names_unsubscribe),
            initial=dict(message.initial_resource_versions),
            nonce=message.response_nonce,
            error=message.error_detail.message if message.HasField("error_detail") else "",
        )


def _to_proto(response: Response) -> Any:
    return discovery_pb2.DeltaDiscoveryResponse(
        type_url=response.type_url,
        nonce=response.nonce,
        resources=[
            discovery_pb2.Resource(
                name=each.key.name,
                version=each.version,
                resource=AnyMessage(type_url=each.key.type_url, value=each.body),
            )
            for each in response.resources
        ],
        removed_resources=list(response.removed),
    )
