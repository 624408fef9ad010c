"""Asks gateways what would become of a request, and what they have counted."""

import asyncio
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from easel.common.v1 import common_pb2
from easel.gateway.v1 import gateway_pb2
from libs.domain.errors import Unavailable
from services.scheduler.routes.gateways import Gateway, Gateways
from services.scheduler.routes.questions import Questions
from services.scheduler.traffic.addressing import (
    Reached,
    addressed,
    client_address,
    elsewhere,
    token_of_entry,
)
from services.scheduler.traffic.naming import with_token_named
from services.scheduler.traffic.watch import Traffic
from services.scheduler.world import World

COUNTED_WITHIN = 3.0
_AUTHORIZATION = "authorization"


class Asking:
    """Safe to call concurrently. Every question has a deadline."""

    def __init__(
        self,
        world: World,
        gateways: Gateways,
        questions: Questions,
        traffic: Traffic,
        clock: Callable[[], datetime],
    ) -> None:
        self._world, self._gateways, self._questions = world, gateways, questions
        self._traffic, self._clock = traffic, clock

    async def explain(
        self, url: str, method: str, headers: Mapping[str, str], with_token: bool, client: str = ""
    ) -> common_pb2.RouteExplanation:
        """What the gateway of this address says of a client at the IP address `client`, where one is given.

        Raises InvalidRequest, Unavailable, DeadlineExceeded.
        """
        client = client_address(client)
        at = addressed(self._world, url, headers.items(), self._reached())
        shown = {name.lower(): value for name, value in headers.items()}
        token = token_of_entry(self._world, at.entry) if with_token else ""
        if token and _AUTHORIZATION not in shown:
            shown[_AUTHORIZATION] = token
        question = gateway_pb2.ExplainRoute(
            method=method.upper() or "GET",
            host=at.authority,
            path=at.path,
            headers=shown,
            from_address=client,
            scheme=at.scheme,
        )
        found = await self._questions.explain(self._link(at.gateway), question)
        if found.status == HTTPStatus.NOT_FOUND and (where := elsewhere(self._world, at)):
            found.why = where
        return with_token_named(self._world, found)

    async def counted(
        self, service: str, within: float = COUNTED_WITHIN
    ) -> tuple[list[common_pb2.ServiceTraffic], list[str]]:
        """The counts by version, and a sentence for each gateway that did not say any. Raises NotFound."""
        gateway = self._world.service(service).gateway
        who, since, heard = f"question {secrets.token_hex(8)}", self._clock(), asyncio.Event()
        leave = self._traffic.on_report(heard.set)
        self._traffic.watch(who, [service])
        try:
            async with asyncio.timeout(within):
                while self._awaited(service, since):
                    heard.clear()
                    await heard.wait()
        except TimeoutError:
            pass
        finally:
            leave()
            counted, notes = self._traffic.by_version(service), list(self._notes(service, gateway, since))
            self._traffic.watch(who, ())
        return counted, notes

    def _awaited(self, service: str, since: datetime) -> list[Gateway]:
        return [
            link
            for link in self._gateways.serving(service)
            if not self._traffic.spoke(link, service, since) and not self._traffic.why_not(link)
        ]

    def _notes(self, service: str, gateway: str, since: datetime) -> Iterator[str]:
        if not self._gateways.named(gateway):
            yield f"gateway {gateway!r} is not connected"
        for link in self._gateways.serving(service):
            if not self._traffic.spoke(link, service, since):
                why = self._traffic.why_not(link) or "it did not answer in time"
                yield f"gateway {link.name!r} was not counted: {why}"

    def _link(self, gateway: str) -> Gateway:
        links = self._gateways.named(gateway)
        if not links:
            raise Unavailable(f"gateway {gateway!r} is not connected")
        return links[0]

    def _reached(self) -> Iterator[Reached]:
        """Gateways before nodes, since a node's address may be that of a gateway too."""
        for record in self._world.gateways.values():
            domains = tuple(each.name for each in record.domains)
            yield Reached(record.name, _authorities([record.public_url]), domains)
        for link in sorted(self._gateways.all_linked(), key=lambda link: (bool(link.node), link.name)):
            urls = [link.public_url, f"http://{link.direct_address}"]
            below = (link.domain,) if link.domain and not link.node else ()
            yield Reached(link.name, _authorities(urls), below)


def _authorities(urls: Iterable[str]) -> tuple[str, ...]:
    found = (urlsplit(url).netloc.lower() for url in urls)
    return tuple(dict.fromkeys(each for each in found if each))
