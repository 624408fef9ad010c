"""Links to services' pages, at the addresses that their gateways say."""

from collections.abc import Callable
from datetime import datetime, timedelta

from libs.domain.errors import FailedPrecondition
from libs.domain.records import Service
from libs.domain.traffic import SHARED_GATEWAY
from services.scheduler.access.web_links import expiry, host_url, web_link
from services.scheduler.facts import facts_of
from services.scheduler.gateways.address import certified
from services.scheduler.routes.gateways import Gateways
from services.scheduler.world import World


class WebLinks:
    """`fallback` is the shared gateway's address until a gateway says one."""

    def __init__(
        self, world: World, gateways: Gateways, fallback: str, clock: Callable[[], datetime]
    ) -> None:
        self._world, self._gateways, self._fallback, self._clock = world, gateways, fallback, clock

    def made(self, name: str, valid_for: timedelta | None, by_host: bool) -> tuple[str, datetime]:
        """The link to a service and when it ends. Raises NotFound, InvalidRequest, FailedPrecondition."""
        service = self._world.service(name)
        expires_at = expiry(valid_for, self._clock())
        webservice = facts_of(self._world.version(name, service.version).spec_json).webservice
        base = self._public_url(service)
        if by_host:
            base = host_url(base, name, self._domain(service))
        return web_link(service, webservice, base, expires_at), expires_at

    def _public_url(self, service: Service) -> str:
        said = self._gateways.public_url(service.gateway)
        if said is None and service.gateway != SHARED_GATEWAY:
            raise FailedPrecondition(
                f"gateway {service.gateway!r} has not said where it is reached; it is not connected"
            )
        return said or self._fallback

    def _domain(self, service: Service) -> str:
        record = self._world.gateways.get(service.gateway)
        if record is not None and record.domains:
            return (certified(record) or record.domains)[0].name
        told = (each.domain for each in self._gateways.named(service.gateway) if each.domain)
        domain = next(told, "")
        if not domain:
            raise FailedPrecondition(
                f"gateway {service.gateway!r} has not said its domain; it is not connected"
            )
        return domain
